#pragma once

// The matrix products of profile f32 on a GPU: the functions of ops.h, with the same bits. All pointers are
// to device memory, row_starts too; a call is queued on the stream and returns at once.

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace aftune::kernels::cuda {

/// y[n, out] = x[n, in] * w[out, in]^T, stored or added.
void linear(Stream stream, std::int64_t n, std::int64_t in, std::int64_t out, const float* x, const float* w,
            float* y, bool add);
/// dx[n, in] = dy[n, out] * w[out, in], stored or added.
void linear_grad_input(Stream stream, std::int64_t n, std::int64_t in, std::int64_t out, const float* dy,
                       const float* w, float* dx, bool add);
/// dw[out, in] += per row of the batch a chain over its tokens of dy[t, out] x[t, in], rows in order.
void linear_grad_weight(Stream stream, std::int64_t rows, const std::int64_t* row_starts, std::int64_t in,
                        std::int64_t out, const float* dy, const float* x, float* dw);

}  // namespace aftune::kernels::cuda
