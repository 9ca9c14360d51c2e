// The operations of image_ops.h, as rows.cpp has those of ops.h.

#include "kernels/chunks.h"
#include "kernels/cpu/rows.h"
#include "kernels/device.h"
#include "kernels/image_ops.h"

namespace aftune::kernels {
namespace {

constexpr std::int64_t kColumnGrain = 256;

const RowTable& active() {
  return row_table(active_isa());
}

}  // namespace

void patches(ThreadPool& pool, const ImageShape& shape, std::int64_t images, const float* x, float* y) {
  if (Device* const device = device_of(pool)) return device->patches(shape, images, x, y);
  const std::int64_t width = shape.patch_width();
  for_chunks(pool, images * shape.patches(), rows_per_chunk(width),
             [&](std::int64_t a, std::int64_t b) { active().patches(shape, a, b, x, y + a * width); });
}

void layer_scale(ThreadPool& pool, std::int64_t n, std::int64_t h, const float* x, const float* w, float* y) {
  if (Device* const device = device_of(pool)) return device->layer_scale(n, h, x, w, y);
  for_chunks(pool, n, rows_per_chunk(h), [&](std::int64_t a, std::int64_t b) {
    active().layer_scale(b - a, h, x + a * h, w, y + a * h);
  });
}

void layer_scale_grad_weight(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts,
                             std::int64_t h, const float* x, const float* dy, float* dw) {
  if (Device* const device = device_of(pool))
    return device->layer_scale_grad_weight(rows, row_starts, h, x, dy, dw);
  for_chunks(pool, h, kColumnGrain, [&](std::int64_t a, std::int64_t b) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t at = row_starts[r] * h + a;
      active().layer_scale_grad_weight(b - a, row_starts[r + 1] - row_starts[r], h, x + at, dy + at, dw + a);
    }
  });
}

void class_mean(ThreadPool& pool, std::int64_t images, std::int64_t positions, std::int64_t h, const float* x,
                float* y) {
  if (Device* const device = device_of(pool)) return device->class_mean(images, positions, h, x, y);
  for_chunks(pool, h, kColumnGrain, [&](std::int64_t a, std::int64_t b) {
    for (std::int64_t i = 0; i < images; ++i)
      active().class_mean(b - a, positions, h, x + i * positions * h + a, y + i * 2 * h + a);
  });
}

void class_mean_grad(ThreadPool& pool, std::int64_t images, std::int64_t positions, std::int64_t h,
                     const float* dy, float* dx) {
  if (Device* const device = device_of(pool)) return device->class_mean_grad(images, positions, h, dy, dx);
  for_chunks(pool, images * positions, rows_per_chunk(h), [&](std::int64_t a, std::int64_t b) {
    active().class_mean_grad(a, b, positions, h, dy, dx + a * h);
  });
}

}  // namespace aftune::kernels
