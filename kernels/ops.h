#pragma once

// The host interface of the arithmetic: what the engine calls. All tensors are row-major f32, contiguous,
// finite unless said otherwise. Every result is defined to the bit by docs/numerics.md, whatever the threads,
// the instruction set or the tile shapes. [n, h] means n rows of h elements.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "kernels/dropout_scalars.h"
#include "kernels/gelu_form.h"
#include "kernels/optimizer_scalars.h"
#include "kernels/profile.h"

namespace aftune::kernels {

/// Store: c = product. Add: c = c + product, the product being complete (chain ended, -0 made +0) before the
/// add.
enum class Into { kStore, kAdd };

// --- Matrix products. Every element is one fmaf chain from +0 over the contracted index, ascending, then +
// 0.0f.

/// y[n, out] = x[n, in] * w[out, in]^T
void linear(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out, const float* x,
            const float* w, float* y, Into into = Into::kStore);
/// dx[n, in] = dy[n, out] * w[out, in]
void linear_grad_input(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out, const float* dy,
                       const float* w, float* dx, Into into);
/// dw[out, in] = ((dw + r_0) + r_1) + ..., r_i = sum over tokens t of row i of dy[t, out]^T x[t, in], one
/// chain a row. row_starts has rows + 1 offsets.
void linear_grad_weight(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts, std::int64_t in,
                        std::int64_t out, const float* dy, const float* x, float* dw);

// --- Row operations.

/// y = x * (1 / sqrt(rowsum(x^2) / h + eps)) * w; keeps the factor of each row in inv_rms[n].
void rmsnorm(ThreadPool& pool, std::int64_t n, std::int64_t h, float eps, const float* x, const float* w,
             float* y, float* inv_rms);
/// dx (stored or added) of rmsnorm.
void rmsnorm_grad_input(ThreadPool& pool, std::int64_t n, std::int64_t h, const float* x, const float* w,
                        const float* inv_rms, const float* dy, float* dx, Into into);
/// dw[h] += per row a chain over its tokens of dy * (x * inv_rms), rows added in order.
void rmsnorm_grad_weight(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                         const float* x, const float* inv_rms, const float* dy, float* dw);

/// y = ((x - mean) * inv) * w + b, mean = rowsum(x) / h, inv = 1 / sqrt(rowsum((x - mean)^2) / h + eps);
/// keeps both of each row in mean[n] and inv[n].
void layernorm(ThreadPool& pool, std::int64_t n, std::int64_t h, float eps, const float* x, const float* w,
               const float* b, float* y, float* mean, float* inv);
/// dx (stored or added) of layernorm.
void layernorm_grad_input(ThreadPool& pool, std::int64_t n, std::int64_t h, const float* x, const float* w,
                          const float* mean, const float* inv, const float* dy, float* dx, Into into);
/// dw[h] += per row a chain over its tokens of dy * ((x - mean) * inv), rows added in order. That of b is
/// bias_grad.
void layernorm_grad_weight(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts,
                           std::int64_t h, const float* x, const float* mean, const float* inv,
                           const float* dy, float* dw);

/// y = gelu(x), elementwise over n elements; y may be x.
void gelu(ThreadPool& pool, GeluForm form, std::int64_t n, const float* x, float* y);
/// dx may be x or dy.
void gelu_grad(ThreadPool& pool, GeluForm form, std::int64_t n, const float* x, const float* dy, float* dx);
/// y = silu(gate) * up, elementwise over n elements.
void swiglu(ThreadPool& pool, std::int64_t n, const float* gate, const float* up, float* y);
/// dgate may be gate, and dup may be up.
void swiglu_grad(ThreadPool& pool, std::int64_t n, const float* gate, const float* up, const float* dy,
                 float* dgate, float* dup);
/// y = a + b; y may be a or b.
void add(ThreadPool& pool, std::int64_t n, const float* a, const float* b, float* y);
/// x[n, h] = x + b[h], in place.
void add_bias(ThreadPool& pool, std::int64_t n, std::int64_t h, const float* b, float* x);
/// db[h] += per row the chain of sums, from +0, of dy over its tokens; rows in order.
void bias_grad(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
               const float* dy, float* db);

/// y = s * x, elementwise over n elements; y may be x.
void scale(ThreadPool& pool, std::int64_t n, float s, const float* x, float* y);
/// y = fmaf(s, x, y).
void add_scaled(ThreadPool& pool, std::int64_t n, float s, const float* x, float* y);
/// Of each row of x[n, h], whose tokens begin at row_starts: elements become +0 with probability site.p, the
/// others are multiplied by 1 / (1 - p). The same function is its gradient. y may be x.
void dropout(ThreadPool& pool, const DropoutSite& site, std::int64_t rows, const std::int64_t* row_starts,
             std::int64_t h, const float* x, float* y);

/// y = the bf16 number nearest to x, ties to even, elementwise over n elements; y may be x.
void round_bf16(ThreadPool& pool, std::int64_t n, const float* x, float* y);

// --- RoPE, rotate-half.

/// cos and sin of pos * inv_freq[i], for positions [0, max_position) and i in [0, head_dim / 2): two tables
/// of [max_position, head_dim / 2]. inv_freq from own double pow, rounded to f32; llama3 scaling in f32 as
/// Hugging Face does when scaled is true.
struct RopeParameters {
  double theta = 10000;
  std::int64_t head_dim = 0;
  bool llama3 = false;
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  std::int64_t original_max_position = 8192;
};
void rope_frequencies(const RopeParameters& parameters, float* inv_freq);
void rope_table(const RopeParameters& parameters, std::int64_t max_position, float* cos, float* sin);
/// Rotates x[n, heads * head_dim] in place by the row's position; inverse rotates back (the gradient).
void rope(ThreadPool& pool, std::int64_t n, std::int64_t heads, std::int64_t head_dim,
          const std::int32_t* positions, const float* cos, const float* sin, bool inverse, float* x);

// --- Attention inside each document (docs/numerics.md, "Attention").

struct AttentionShape {
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  float scale = 0;
  /// attention/1: a query sees no key that comes after it. Else attention-full/1: it sees all.
  bool causal = true;
};
/// q[n, heads*head_dim], k and v[n, kv_heads*head_dim] -> o like q; max and sum are [n, heads], kept for
/// backward. doc_starts has documents + 1 offsets.
void attention(ThreadPool& pool, const AttentionShape& shape, std::int64_t documents,
               const std::int64_t* doc_starts, const float* q, const float* k, const float* v, float* o,
               float* max, float* sum);
/// Further positions [first, first + count) of a document whose earlier ones were answered before. Theirs are
/// the rows [row, row + count) of q and o; k and v [first + count, kv_heads*head_dim] hold all positions so
/// far.
struct AttentionContinuation {
  std::int64_t row = 0, count = 0, first = 0;
  const float *k = nullptr, *v = nullptr;
};
/// o of these rows, bit for bit as attention() gives it for the whole documents. Causal only.
void attention_continued(ThreadPool& pool, const AttentionShape& shape,
                         std::span<const AttentionContinuation> documents, const float* q, float* o,
                         float* max, float* sum);
void attention_grad(ThreadPool& pool, const AttentionShape& shape, std::int64_t documents,
                    const std::int64_t* doc_starts, const float* q, const float* k, const float* v,
                    const float* o, const float* max, const float* sum, const float* d_o, float* dq,
                    float* dk, float* dv);

// --- Embedding and loss.

/// to[i] = from[rows[i]] for i < n, rows of h elements.
void gather_rows(ThreadPool& pool, std::int64_t n, std::int64_t h, const std::int64_t* rows,
                 const float* from, float* to);
/// to[rows[i]] = from[i] for i < n; no row is named twice.
void scatter_rows(ThreadPool& pool, std::int64_t n, std::int64_t h, const std::int64_t* rows,
                  const float* from, float* to);
/// y[n, h] = table[ids[i]]; ids must be within the table.
void embedding(ThreadPool& pool, std::int64_t n, std::int64_t h, const std::int32_t* ids, const float* table,
               float* y);
/// dtable[id] += per row the chain of sums, from +0, of dy at the row's positions that hold id; rows in
/// order.
void embedding_grad(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                    const std::int32_t* ids, const float* dy, float* dtable);
/// Per position with label >= 0: loss = (max - logit[label]) + log(rowsum(exp(logit - max))), and, if grad,
/// logits become (p - y) * inv_predicted in place, p = exp(logit - max) / rowsum. loss[n].
void cross_entropy(ThreadPool& pool, std::int64_t n, std::int64_t vocab, float* logits,
                   const std::int32_t* labels, float inv_predicted, bool grad, float* loss);

// --- Reductions over whole tensors.

/// rowsum/1 of n elements: blocks of 1024, 32 lanes, xor tree, blocks in order.
float rowsum(std::int64_t n, const float* x);
/// Sum of squares: rowsum of squares per 1024 elements in f32, partials added in binary64.
double sum_squares(ThreadPool& pool, std::int64_t n, const float* x);
/// True if any element is NaN or infinite.
bool any_nonfinite(ThreadPool& pool, std::int64_t n, const float* x);

// --- Optimizers, one pass, in place. Scalars were rounded to f32 by the caller as docs/numerics.md says.

/// Returns false if a new value is not finite.
bool adamw(ThreadPool& pool, const AdamW& op, std::int64_t n, float* p, float* m, float* v, const float* g);
/// momentum_buffer may be null when momentum is 0.
bool sgd(ThreadPool& pool, const Sgd& op, std::int64_t n, float* p, float* momentum_buffer, const float* g);

// --- Random and scalar functions.

/// Element i of tensor `name_hash`: normal(0, std) from Philox (docs/numerics.md, "Init"), elements [0, n).
void init_normal(ThreadPool& pool, std::uint64_t seed, std::uint64_t name_hash, float std, std::int64_t n,
                 float* x);

/// Own binary64 functions, for tables and schedules: the same bits everywhere, within 2 ulp on their stated
/// range.
double exp64(double x);
double log64(double x);
double pow64(double x, double y);  ///< x > 0
double sin64(double x);            ///< |x| < 2^30
double cos64(double x);

/// What a model or a method needs besides the ops that all runs use.
struct OpUses {
  bool biases = false;
  bool adapters = false;
  bool rmsnorm = true, rope = true, swiglu = true;
  bool layernorm = false;
  bool gelu = false, gelu_tanh = false;
  bool images = false;       ///< patches, and attention to all positions
  bool layer_scale = false;  ///< of DINOv2
  bool class_mean = false;   ///< of DINOv2's classifier
};
/// Names with versions of all ops that a run of `profile` may use, sorted: the manifest lists them.
std::vector<std::string> op_names(const Profile& profile, const OpUses& uses = {});

/// Runs known answers through the kernels in use, once in a process, and through the accelerator if there is
/// one. Returns false, and names the first op that differs in *op. Recording and verifying refuse to start if
/// it fails.
bool self_test(const char** op, Accelerator* accelerator = nullptr);
/// Throws Error{kDevice} that names the op if self_test fails.
void require_self_test(Accelerator* accelerator);

}  // namespace aftune::kernels
