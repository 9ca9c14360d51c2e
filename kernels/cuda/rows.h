#pragma once

// The row and element operations on a GPU: the functions of ops.h, with the same bits. All pointers are to
// device memory; a call is queued on the stream and returns at once. Where ops.h returns whether all was
// finite, *bad is set to 1 instead, and must be 0 before.

#include <cstdint>

#include "kernels/cuda/stream.h"
#include "kernels/dropout_scalars.h"
#include "kernels/gelu_form.h"
#include "kernels/optimizer_scalars.h"

namespace aftune::kernels::cuda {

void rmsnorm(Stream stream, std::int64_t n, std::int64_t h, float eps, const float* x, const float* w,
             float* y, float* inv_rms);
void rmsnorm_grad_input(Stream stream, std::int64_t n, std::int64_t h, const float* x, const float* w,
                        const float* inv_rms, const float* dy, float* dx, bool add);
/// row_starts is in device memory too.
void rmsnorm_grad_weight(Stream stream, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                         const float* x, const float* inv_rms, const float* dy, float* dw);
void layernorm(Stream stream, std::int64_t n, std::int64_t h, float eps, const float* x, const float* w,
               const float* b, float* y, float* mean, float* inv);
void layernorm_grad_input(Stream stream, std::int64_t n, std::int64_t h, const float* x, const float* w,
                          const float* mean, const float* inv, const float* dy, float* dx, bool add);
/// row_starts is in device memory too.
void layernorm_grad_weight(Stream stream, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                           const float* x, const float* mean, const float* inv, const float* dy, float* dw);
void gelu(Stream stream, GeluForm form, std::int64_t n, const float* x, float* y);
void gelu_grad(Stream stream, GeluForm form, std::int64_t n, const float* x, const float* dy, float* dx);
void swiglu(Stream stream, std::int64_t n, const float* gate, const float* up, float* y);
void swiglu_grad(Stream stream, std::int64_t n, const float* gate, const float* up, const float* dy,
                 float* dgate, float* dup);
void add(Stream stream, std::int64_t n, const float* a, const float* b, float* y);
void add_bias(Stream stream, std::int64_t n, std::int64_t h, const float* b, float* x);
/// row_starts is in device memory too.
void bias_grad(Stream stream, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
               const float* dy, float* db);
void scale(Stream stream, std::int64_t n, float s, const float* x, float* y);
void add_scaled(Stream stream, std::int64_t n, float s, const float* x, float* y);
/// One row of `length` tokens, whose global number is `row`.
void dropout(Stream stream, const DropoutSite& site, std::uint32_t row, std::int64_t length, std::int64_t h,
             const float* x, float* y);
void rope(Stream stream, std::int64_t n, std::int64_t heads, std::int64_t head_dim,
          const std::int32_t* positions, const float* cos, const float* sin, bool inverse, float* x);
void embedding(Stream stream, std::int64_t n, std::int64_t h, const std::int32_t* ids, const float* table,
               float* y);
/// Group i is order[group_starts[i]] ... order[group_starts[i + 1] - 1]: the positions of one id in one row,
/// ascending. Groups of the same id come in row order; entry_starts[e] is the first group of the e-th table
/// entry, entry_ids[e], of `entries`; the last offset of both lists closes it.
void embedding_grad(Stream stream, std::int64_t entries, const std::int64_t* entry_starts,
                    const std::int32_t* entry_ids, const std::int64_t* group_starts,
                    const std::int64_t* order, std::int64_t h, const float* dy, float* dtable);
void cross_entropy(Stream stream, std::int64_t n, std::int64_t vocab, float* logits,
                   const std::int32_t* labels, float inv_predicted, bool grad, float* loss);
/// *sum is in device memory.
void rowsum(Stream stream, std::int64_t n, const float* x, float* sum);
/// One partial per 1024 elements; the host adds them in binary64, in order.
void sum_squares(Stream stream, std::int64_t n, const float* x, float* partials);
void any_nonfinite(Stream stream, std::int64_t n, const float* x, std::uint32_t* bad);
void adamw(Stream stream, const AdamW& op, std::int64_t n, float* p, float* m, float* v, const float* g,
           std::uint32_t* bad);
/// momentum_buffer may be null when momentum is 0.
void sgd(Stream stream, const Sgd& op, std::int64_t n, float* p, float* momentum_buffer, const float* g,
         std::uint32_t* bad);

/// to[i] = from[rows[i]] for i < n, rows of h elements: what scatter_rows takes apart again.
void gather_rows(Stream stream, std::int64_t n, std::int64_t h, const std::int64_t* rows, const float* from,
                 float* to);
/// to[rows[i]] = from[i] for i < n; no row is named twice.
void scatter_rows(Stream stream, std::int64_t n, std::int64_t h, const std::int64_t* rows, const float* from,
                  float* to);
/// Element i is that of init_normal in ops.h.
void init_normal(Stream stream, std::uint64_t seed, std::uint64_t name_hash, float std, std::int64_t n,
                 float* x);

}  // namespace aftune::kernels::cuda
