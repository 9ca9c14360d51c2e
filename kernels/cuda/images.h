#pragma once

// The operations of images on a GPU: the functions of image_ops.h, with the same bits. As rows.h.

#include <cstdint>

#include "kernels/cuda/stream.h"
#include "kernels/image_shape.h"

namespace aftune::kernels::cuda {

void patches(Stream stream, const ImageShape& shape, std::int64_t images, const float* x, float* y);
void layer_scale(Stream stream, std::int64_t n, std::int64_t h, const float* x, const float* w, float* y);
/// row_starts is in device memory too.
void layer_scale_grad_weight(Stream stream, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                             const float* x, const float* dy, float* dw);
void class_mean(Stream stream, std::int64_t images, std::int64_t positions, std::int64_t h, const float* x,
                float* y);
void class_mean_grad(Stream stream, std::int64_t images, std::int64_t positions, std::int64_t h,
                     const float* dy, float* dx);

}  // namespace aftune::kernels::cuda
