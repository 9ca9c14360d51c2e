// Drivers only: a warp takes a row, or 1024 elements, or 32 columns. The arithmetic is in the headers of the
// ops.

#include "kernels/adamw.h"
#include "kernels/add.h"
#include "kernels/bias.h"
#include "kernels/cross_entropy.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/warps.cuh"
#include "kernels/dropout.h"
#include "kernels/embedding.h"
#include "kernels/gelu.h"
#include "kernels/layernorm.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/rowsum.h"
#include "kernels/scaled.h"
#include "kernels/sgd.h"
#include "kernels/swiglu.h"

namespace aftune::kernels::cuda {
namespace {

template <class Form>
void gelu_as(Stream stream, std::int64_t n, const float* x, float* y) {
  launch_ranges(stream, n, [=] __device__(std::int64_t a, std::int64_t count) {
    gelu_elements<Form>(WarpLanes{}, count, x + a, y + a);
  });
}

template <class Form>
void gelu_grad_as(Stream stream, std::int64_t n, const float* x, const float* dy, float* dx) {
  launch_ranges(stream, n, [=] __device__(std::int64_t a, std::int64_t count) {
    gelu_elements_grad<Form>(WarpLanes{}, count, x + a, dy + a, dx + a);
  });
}

}  // namespace

void rmsnorm(Stream stream, std::int64_t n, std::int64_t h, float eps, const float* x, const float* w,
             float* y, float* inv_rms) {
  const RmsNorm op{h, eps};
  launch_warps(stream, n, [=] __device__(std::int64_t r) {
    const float inv = op.row(WarpLanes{}, x + r * op.h, w, y + r * op.h);
    WarpLanes{}.one(0, [=](std::int64_t) { inv_rms[r] = inv; });
  });
}

void rmsnorm_grad_input(Stream stream, std::int64_t n, std::int64_t h, const float* x, const float* w,
                        const float* inv_rms, const float* dy, float* dx, bool add) {
  const RmsNorm op{h, 0.0f};
  launch_warps(stream, n, [=] __device__(std::int64_t r) {
    const std::int64_t at = r * op.h;
    op.row_grad_input(WarpLanes{}, x + at, w, inv_rms[r], dy + at, dx + at, add);
  });
}

void rmsnorm_grad_weight(Stream stream, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                         const float* x, const float* inv_rms, const float* dy, float* dw) {
  const RmsNorm op{h, 0.0f};
  launch_columns(stream, h, [=] __device__(std::int64_t first, std::int64_t count) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t start = row_starts[r], at = start * op.h + first;
      op.columns_grad_weight(WarpLanes{}, count, row_starts[r + 1] - start, x + at, inv_rms + start, dy + at,
                             dw + first);
    }
  });
}

void layernorm(Stream stream, std::int64_t n, std::int64_t h, float eps, const float* x, const float* w,
               const float* b, float* y, float* mean, float* inv) {
  const LayerNorm op{h, eps};
  launch_warps(stream, n, [=] __device__(std::int64_t r) {
    const LayerNorm::Moments of = op.row(WarpLanes{}, x + r * op.h, w, b, y + r * op.h);
    WarpLanes{}.one(0, [=](std::int64_t) {
      mean[r] = of.mean;
      inv[r] = of.inv;
    });
  });
}

void layernorm_grad_input(Stream stream, std::int64_t n, std::int64_t h, const float* x, const float* w,
                          const float* mean, const float* inv, const float* dy, float* dx, bool add) {
  const LayerNorm op{h, 0.0f};
  launch_warps(stream, n, [=] __device__(std::int64_t r) {
    const std::int64_t at = r * op.h;
    op.row_grad_input(WarpLanes{}, x + at, w, {mean[r], inv[r]}, dy + at, dx + at, add);
  });
}

void layernorm_grad_weight(Stream stream, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                           const float* x, const float* mean, const float* inv, const float* dy, float* dw) {
  const LayerNorm op{h, 0.0f};
  launch_columns(stream, h, [=] __device__(std::int64_t first, std::int64_t count) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t start = row_starts[r], at = start * op.h + first;
      op.columns_grad_weight(WarpLanes{}, count, row_starts[r + 1] - start, x + at, mean + start, inv + start,
                             dy + at, dw + first);
    }
  });
}

void gelu(Stream stream, GeluForm form, std::int64_t n, const float* x, float* y) {
  if (form == GeluForm::kErf) return gelu_as<Gelu>(stream, n, x, y);
  gelu_as<GeluTanh>(stream, n, x, y);
}

void gelu_grad(Stream stream, GeluForm form, std::int64_t n, const float* x, const float* dy, float* dx) {
  if (form == GeluForm::kErf) return gelu_grad_as<Gelu>(stream, n, x, dy, dx);
  gelu_grad_as<GeluTanh>(stream, n, x, dy, dx);
}

void swiglu(Stream stream, std::int64_t n, const float* gate, const float* up, float* y) {
  launch_ranges(stream, n, [=] __device__(std::int64_t a, std::int64_t count) {
    SwiGlu{}.elements(WarpLanes{}, count, gate + a, up + a, y + a);
  });
}

void swiglu_grad(Stream stream, std::int64_t n, const float* gate, const float* up, const float* dy,
                 float* dgate, float* dup) {
  launch_ranges(stream, n, [=] __device__(std::int64_t a, std::int64_t count) {
    SwiGlu{}.elements_grad(WarpLanes{}, count, gate + a, up + a, dy + a, dgate + a, dup + a);
  });
}

void add(Stream stream, std::int64_t n, const float* a, const float* b, float* y) {
  launch_ranges(stream, n, [=] __device__(std::int64_t first, std::int64_t count) {
    Add{}.elements(WarpLanes{}, count, a + first, b + first, y + first);
  });
}

void add_bias(Stream stream, std::int64_t n, std::int64_t h, const float* b, float* x) {
  const Bias op{h};
  launch_warps(stream, n, [=] __device__(std::int64_t r) { op.row(WarpLanes{}, b, x + r * op.h); });
}

void bias_grad(Stream stream, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
               const float* dy, float* db) {
  const Bias op{h};
  launch_columns(stream, h, [=] __device__(std::int64_t first, std::int64_t count) {
    for (std::int64_t r = 0; r < rows; ++r)
      op.columns_grad(WarpLanes{}, count, row_starts[r + 1] - row_starts[r],
                      dy + row_starts[r] * op.h + first, db + first);
  });
}

void scale(Stream stream, std::int64_t n, float s, const float* x, float* y) {
  launch_ranges(stream, n, [=] __device__(std::int64_t a, std::int64_t count) {
    Scaled{s}.elements(WarpLanes{}, count, x + a, y + a);
  });
}

void add_scaled(Stream stream, std::int64_t n, float s, const float* x, float* y) {
  launch_ranges(stream, n, [=] __device__(std::int64_t a, std::int64_t count) {
    Scaled{s}.elements_added(WarpLanes{}, count, x + a, y + a);
  });
}

void dropout(Stream stream, const DropoutSite& site, std::uint32_t row, std::int64_t length, std::int64_t h,
             const float* x, float* y) {
  const Dropout op = dropout_of(site);
  launch_warps(stream, length, [=] __device__(std::int64_t t) {
    op.row(WarpLanes{}, h, static_cast<std::uint32_t>(t), row, x + t * h, y + t * h);
  });
}

void rope(Stream stream, std::int64_t n, std::int64_t heads, std::int64_t head_dim,
          const std::int32_t* positions, const float* cos, const float* sin, bool inverse, float* x) {
  const Rope op{heads, head_dim, inverse};
  launch_warps(stream, n, [=] __device__(std::int64_t r) {
    const std::int64_t at = positions[r] * (op.head_dim / 2);
    op.row(WarpLanes{}, cos + at, sin + at, x + r * op.heads * op.head_dim);
  });
}

void embedding(Stream stream, std::int64_t n, std::int64_t h, const std::int32_t* ids, const float* table,
               float* y) {
  const Embedding op{h};
  launch_warps(stream, n,
               [=] __device__(std::int64_t r) { op.row(WarpLanes{}, ids[r], table, y + r * op.h); });
}

void embedding_grad(Stream stream, std::int64_t entries, const std::int64_t* entry_starts,
                    const std::int32_t* entry_ids, const std::int64_t* group_starts,
                    const std::int64_t* order, std::int64_t h, const float* dy, float* dtable) {
  const Embedding op{h};
  launch_warps(stream, entries, [=] __device__(std::int64_t e) {
    float* const entry = dtable + entry_ids[e] * op.h;
    for (std::int64_t group = entry_starts[e]; group < entry_starts[e + 1]; ++group)
      op.columns_grad(WarpLanes{}, op.h, group_starts[group + 1] - group_starts[group],
                      order + group_starts[group], dy, entry);
  });
}

void cross_entropy(Stream stream, std::int64_t n, std::int64_t vocab, float* logits,
                   const std::int32_t* labels, float inv_predicted, bool grad, float* loss) {
  const CrossEntropy op{vocab, inv_predicted, grad};
  launch_warps(stream, n, [=] __device__(std::int64_t r) {
    const float value = op.row(WarpLanes{}, labels[r], logits + r * op.vocab);
    WarpLanes{}.one(0, [=](std::int64_t) { loss[r] = value; });
  });
}

void rowsum(Stream stream, std::int64_t n, const float* x, float* sum) {
  launch_warps(stream, 1, [=] __device__(std::int64_t) {
    const float value = RowSum{}.row(WarpLanes{}, n, x);
    WarpLanes{}.one(0, [=](std::int64_t) { *sum = value; });
  });
}

void sum_squares(Stream stream, std::int64_t n, const float* x, float* partials) {
  launch_ranges(stream, n, [=] __device__(std::int64_t a, std::int64_t count) {
    const float value = SumSquares{}.block(WarpLanes{}, count, x + a);
    WarpLanes{}.one(0, [=](std::int64_t) { partials[a / kSumBlock] = value; });
  });
}

void any_nonfinite(Stream stream, std::int64_t n, const float* x, std::uint32_t* bad) {
  launch_ranges(stream, n, [=] __device__(std::int64_t a, std::int64_t count) {
    WarpLanes{}.each(count, [=](std::int64_t i) {
      if (!finite32(x[a + i])) atomicOr(bad, 1u);
    });
  });
}

void adamw(Stream stream, const AdamW& scalars, std::int64_t n, float* p, float* m, float* v, const float* g,
           std::uint32_t* bad) {
  const AdamWUpdate op{scalars};
  launch_ranges(stream, n, [=] __device__(std::int64_t a, std::int64_t count) {
    WarpLanes{}.each(count, [=](std::int64_t i) {
      const AdamWUpdate::State next = op.element(g[a + i], {p[a + i], m[a + i], v[a + i]});
      p[a + i] = next.p;
      m[a + i] = next.m;
      v[a + i] = next.v;
      if (!next.finite()) atomicOr(bad, 1u);
    });
  });
}

void sgd(Stream stream, const Sgd& scalars, std::int64_t n, float* p, float* momentum_buffer, const float* g,
         std::uint32_t* bad) {
  const SgdUpdate op{scalars};
  launch_ranges(stream, n, [=] __device__(std::int64_t a, std::int64_t count) {
    WarpLanes{}.each(count, [=](std::int64_t i) {
      float direction = op.gradient(g[a + i], p[a + i]);
      if (momentum_buffer != nullptr) {
        direction = op.buffered(momentum_buffer[a + i], direction);
        momentum_buffer[a + i] = direction;
      }
      p[a + i] = op.moved(p[a + i], direction);
      if (!(finite32(p[a + i]) & finite32(direction))) atomicOr(bad, 1u);
    });
  });
}

void gather_rows(Stream stream, std::int64_t n, std::int64_t h, const std::int64_t* rows, const float* from,
                 float* to) {
  launch_warps(stream, n, [=] __device__(std::int64_t i) {
    WarpLanes{}.each(h, [=](std::int64_t c) { to[i * h + c] = from[rows[i] * h + c]; });
  });
}

void scatter_rows(Stream stream, std::int64_t n, std::int64_t h, const std::int64_t* rows, const float* from,
                  float* to) {
  launch_warps(stream, n, [=] __device__(std::int64_t i) {
    WarpLanes{}.each(h, [=](std::int64_t c) { to[rows[i] * h + c] = from[i * h + c]; });
  });
}

}  // namespace aftune::kernels::cuda
