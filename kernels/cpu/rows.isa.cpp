#include "kernels/cpu/rows.h"

#include "kernels/adamw.h"
#include "kernels/add.h"
#include "kernels/bf16.h"
#include "kernels/bias.h"
#include "kernels/class_mean.h"
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/embedding.h"
#include "kernels/gelu.h"
#include "kernels/init_normal.h"
#include "kernels/layer_scale.h"
#include "kernels/layernorm.h"
#include "kernels/patches.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/rowsum.h"
#include "kernels/scaled.h"
#include "kernels/sgd.h"
#include "kernels/swiglu.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

constexpr CpuLanes kCpu;

void rmsnorm(std::int64_t rows, std::int64_t h, float eps, const float* x, const float* w, float* y,
             float* inv_rms) {
  const RmsNorm op{h, eps};
  for (std::int64_t r = 0; r < rows; ++r) inv_rms[r] = op.row(kCpu, x + r * h, w, y + r * h);
}

void rmsnorm_grad_input(std::int64_t rows, std::int64_t h, const float* x, const float* w,
                        const float* inv_rms, const float* dy, float* dx, bool add) {
  const RmsNorm op{h, 0.0f};
  for (std::int64_t r = 0; r < rows; ++r)
    op.row_grad_input(kCpu, x + r * h, w, inv_rms[r], dy + r * h, dx + r * h, add);
}

void rmsnorm_grad_weight(std::int64_t width, std::int64_t length, std::int64_t h, const float* x,
                         const float* inv_rms, const float* dy, float* dw) {
  RmsNorm{h, 0.0f}.columns_grad_weight(kCpu, width, length, x, inv_rms, dy, dw);
}

void layernorm(std::int64_t rows, std::int64_t h, float eps, const float* x, const float* w, const float* b,
               float* y, float* mean, float* inv) {
  const LayerNorm op{h, eps};
  for (std::int64_t r = 0; r < rows; ++r) {
    const LayerNorm::Moments of = op.row(kCpu, x + r * h, w, b, y + r * h);
    mean[r] = of.mean;
    inv[r] = of.inv;
  }
}

void layernorm_grad_input(std::int64_t rows, std::int64_t h, const float* x, const float* w,
                          const float* mean, const float* inv, const float* dy, float* dx, bool add) {
  const LayerNorm op{h, 0.0f};
  for (std::int64_t r = 0; r < rows; ++r)
    op.row_grad_input(kCpu, x + r * h, w, {mean[r], inv[r]}, dy + r * h, dx + r * h, add);
}

void layernorm_grad_weight(std::int64_t width, std::int64_t length, std::int64_t h, const float* x,
                           const float* mean, const float* inv, const float* dy, float* dw) {
  LayerNorm{h, 0.0f}.columns_grad_weight(kCpu, width, length, x, mean, inv, dy, dw);
}

void gelu(GeluForm form, std::int64_t n, const float* x, float* y) {
  if (form == GeluForm::kErf) return gelu_elements<Gelu>(kCpu, n, x, y);
  gelu_elements<GeluTanh>(kCpu, n, x, y);
}

void gelu_grad(GeluForm form, std::int64_t n, const float* x, const float* dy, float* dx) {
  if (form == GeluForm::kErf) return gelu_elements_grad<Gelu>(kCpu, n, x, dy, dx);
  gelu_elements_grad<GeluTanh>(kCpu, n, x, dy, dx);
}

void swiglu(std::int64_t n, const float* gate, const float* up, float* y) {
  SwiGlu{}.elements(kCpu, n, gate, up, y);
}

void swiglu_grad(std::int64_t n, const float* gate, const float* up, const float* dy, float* dgate,
                 float* dup) {
  SwiGlu{}.elements_grad(kCpu, n, gate, up, dy, dgate, dup);
}

void add(std::int64_t n, const float* a, const float* b, float* y) {
  Add{}.elements(kCpu, n, a, b, y);
}

void add_bias(std::int64_t rows, std::int64_t h, const float* b, float* x) {
  const Bias op{h};
  for (std::int64_t r = 0; r < rows; ++r) op.row(kCpu, b, x + r * h);
}

void bias_grad(std::int64_t width, std::int64_t length, std::int64_t h, const float* dy, float* db) {
  Bias{h}.columns_grad(kCpu, width, length, dy, db);
}

void scale(std::int64_t n, float s, const float* x, float* y) {
  Scaled{s}.elements(kCpu, n, x, y);
}

void add_scaled(std::int64_t n, float s, const float* x, float* y) {
  Scaled{s}.elements_added(kCpu, n, x, y);
}

void round_bf16(std::int64_t n, const float* x, float* y) {
  RoundBf16{}.elements(kCpu, n, x, y);
}

void dropout(const DropoutSite& site, std::int64_t length, std::int64_t h, std::int64_t token,
             std::uint32_t row, const float* x, float* y) {
  const Dropout op = dropout_of(site);
  for (std::int64_t t = 0; t < length; ++t)
    op.row(kCpu, h, static_cast<std::uint32_t>(token + t), row, x + t * h, y + t * h);
}

void rope(std::int64_t rows, std::int64_t heads, std::int64_t head_dim, const std::int32_t* positions,
          const float* cos, const float* sin, bool inverse, float* x) {
  const Rope op{heads, head_dim, inverse};
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t at = positions[r] * (head_dim / 2);
    op.row(kCpu, cos + at, sin + at, x + r * heads * head_dim);
  }
}

void embedding(std::int64_t rows, std::int64_t h, const std::int32_t* ids, const float* table, float* y) {
  const Embedding op{h};
  for (std::int64_t r = 0; r < rows; ++r) op.row(kCpu, ids[r], table, y + r * h);
}

void embedding_grad(std::int64_t width, std::int64_t length, std::int64_t h, const std::int64_t* positions,
                    const float* dy, float* dentry) {
  Embedding{h}.columns_grad(kCpu, width, length, positions, dy, dentry);
}

void cross_entropy(std::int64_t rows, std::int64_t vocab, float* logits, const std::int32_t* labels,
                   float inv_predicted, bool grad, float* loss) {
  const CrossEntropy op{vocab, inv_predicted, grad};
  for (std::int64_t r = 0; r < rows; ++r) loss[r] = op.row(kCpu, labels[r], logits + r * vocab);
}

void patches(const ImageShape& shape, std::int64_t first, std::int64_t last, const float* x, float* y) {
  const Patches op{shape};
  const std::int64_t side = shape.size / shape.patch, count = side * side;
  const std::int64_t pixels = shape.channels * shape.size * shape.size;
  const std::int64_t width = shape.channels * shape.patch * shape.patch;
  for (std::int64_t r = first; r < last; ++r)
    op.row(kCpu, r % count, x + r / count * pixels, y + (r - first) * width);
}

void layer_scale(std::int64_t rows, std::int64_t h, const float* x, const float* w, float* y) {
  const LayerScale op{h};
  for (std::int64_t r = 0; r < rows; ++r) op.row(kCpu, x + r * h, w, y + r * h);
}

void layer_scale_grad_weight(std::int64_t width, std::int64_t length, std::int64_t h, const float* x,
                             const float* dy, float* dw) {
  LayerScale{h}.columns_grad_weight(kCpu, width, length, x, dy, dw);
}

void class_mean(std::int64_t width, std::int64_t positions, std::int64_t h, const float* x, float* y) {
  ClassMean{positions, h}.columns(kCpu, width, x, y);
}

void class_mean_grad(std::int64_t first, std::int64_t last, std::int64_t positions, std::int64_t h,
                     const float* dy, float* dx) {
  const ClassMean op{positions, h};
  for (std::int64_t r = first; r < last; ++r)
    op.row_grad(kCpu, r % positions, dy + r / positions * 2 * h, dx + (r - first) * h);
}

float rowsum(std::int64_t n, const float* x) {
  return RowSum{}.row(kCpu, n, x);
}

void sum_squares(std::int64_t n, const float* x, float* partials) {
  for (std::int64_t at = 0; at < n; at += kSumBlock)
    partials[at / kSumBlock] = SumSquares{}.block(kCpu, n - at < kSumBlock ? n - at : kSumBlock, x + at);
}

// Counted in integers, so that the loops vectorise.
bool any_nonfinite(std::int64_t n, const float* x) {
  std::uint32_t bad = 0;
  for (std::int64_t i = 0; i < n; ++i) bad |= finite32(x[i]) ? 0u : 1u;
  return bad != 0;
}

bool adamw(const AdamW& scalars, std::int64_t n, float* p, float* m, float* v, const float* g) {
  const AdamWUpdate op{scalars};
  std::uint32_t bad = 0;
  AFTUNE_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) {
    const AdamWUpdate::State next = op.element(g[i], {p[i], m[i], v[i]});
    p[i] = next.p;
    m[i] = next.m;
    v[i] = next.v;
    bad |= next.finite() ? 0u : 1u;
  }
  return bad == 0;
}

bool sgd_without_momentum(const SgdUpdate& op, std::int64_t n, float* p, const float* g) {
  std::uint32_t bad = 0;
  AFTUNE_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) {
    p[i] = op.moved(p[i], op.gradient(g[i], p[i]));
    bad |= finite32(p[i]) ? 0u : 1u;
  }
  return bad == 0;
}

bool sgd(const Sgd& scalars, std::int64_t n, float* p, float* buffer, const float* g) {
  const SgdUpdate op{scalars};
  if (buffer == nullptr) return sgd_without_momentum(op, n, p, g);
  std::uint32_t bad = 0;
  AFTUNE_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) {
    const float kept = op.buffered(buffer[i], op.gradient(g[i], p[i]));
    const float next = op.moved(p[i], kept);
    buffer[i] = kept;
    p[i] = next;
    bad |= finite32(next) & finite32(kept) ? 0u : 1u;
  }
  return bad == 0;
}

void init_normal(double std, std::int64_t pairs, const std::uint32_t* words, float* x) {
  InitNormal{std}.pairs(kCpu, pairs, words, x);
}

void exp32_all(std::int64_t n, const float* x, float* y) {
  kCpu.each(n, [=](std::int64_t i) { y[i] = exp32(x[i]); });
}

void log32_all(std::int64_t n, const float* x, float* y) {
  kCpu.each(n, [=](std::int64_t i) { y[i] = log32(x[i]); });
}

void erf32_all(std::int64_t n, const float* x, float* y) {
  kCpu.each(n, [=](std::int64_t i) { y[i] = erf32(x[i]); });
}

}  // namespace

extern const RowTable row_table;
const RowTable row_table = {rmsnorm,
                            rmsnorm_grad_input,
                            rmsnorm_grad_weight,
                            layernorm,
                            layernorm_grad_input,
                            layernorm_grad_weight,
                            gelu,
                            gelu_grad,
                            swiglu,
                            swiglu_grad,
                            add,
                            add_bias,
                            bias_grad,
                            scale,
                            add_scaled,
                            round_bf16,
                            dropout,
                            rope,
                            embedding,
                            embedding_grad,
                            cross_entropy,
                            patches,
                            layer_scale,
                            layer_scale_grad_weight,
                            class_mean,
                            class_mean_grad,
                            rowsum,
                            sum_squares,
                            any_nonfinite,
                            adamw,
                            sgd,
                            init_normal,
                            exp32_all,
                            log32_all,
                            erf32_all};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
