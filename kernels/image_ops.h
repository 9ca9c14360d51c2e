#pragma once

// The operations that only models of images have; see ops.h for what holds of all.

#include <cstdint>

#include "base/parallel.h"
#include "kernels/image_shape.h"

namespace aftune::kernels {

/// y[images * patches, channels * patch * patch] = the patches of x[images, channels, size, size].
void patches(ThreadPool& pool, const ImageShape& shape, std::int64_t images, const float* x, float* y);

/// y[n, h] = x * w[h]; y may be x. Of dy it is the gradient of x.
void layer_scale(ThreadPool& pool, std::int64_t n, std::int64_t h, const float* x, const float* w, float* y);
/// dw[h] += per row a chain over its tokens of dy * x, rows added in order.
void layer_scale_grad_weight(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts,
                             std::int64_t h, const float* x, const float* dy, float* dw);

/// y[images, 2 h] = of each image x[positions, h] its first position, and the mean of the others.
void class_mean(ThreadPool& pool, std::int64_t images, std::int64_t positions, std::int64_t h, const float* x,
                float* y);
/// dx[images, positions, h] of dy[images, 2 h].
void class_mean_grad(ThreadPool& pool, std::int64_t images, std::int64_t positions, std::int64_t h,
                     const float* dy, float* dx);

}  // namespace aftune::kernels
