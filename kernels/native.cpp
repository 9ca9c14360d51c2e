#include "kernels/native.h"

#include <cmath>

#include "base/error.h"
#include "kernels/chunks.h"
#include "kernels/device.h"

namespace aftune::kernels {

std::vector<float> rounded_bf16(ThreadPool& pool, std::int64_t count, const float* x) {
  std::vector<float> y(static_cast<std::size_t>(count));
  round_bf16(pool, count, x, y.data());
  return y;
}

NativeMachine native_machine(const ThreadPool& pool) {
  Device* const device = device_of(pool);
  if (device == nullptr)
    fail(Fault::kUsage, "--numerics native needs --device cuda: its products are those of a GPU's library");
  return device->native_machine();
}

void linear_native(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out, const float* x,
                   const float* w, float* y, Into into) {
  if (Device* const device = device_of(pool)) return device->linear_native(n, in, out, x, w, y, into);
  linear(pool, n, in, out, rounded_bf16(pool, n * in, x).data(), rounded_bf16(pool, out * in, w).data(), y,
         into);
}

void linear_grad_input_native(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out,
                              const float* dy, const float* w, float* dx, Into into) {
  if (Device* const device = device_of(pool))
    return device->linear_grad_input_native(n, in, out, dy, w, dx, into);
  linear_grad_input(pool, n, in, out, rounded_bf16(pool, n * out, dy).data(),
                    rounded_bf16(pool, out * in, w).data(), dx, into);
}

void linear_grad_weight_native(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts,
                               std::int64_t in, std::int64_t out, const float* dy, const float* x,
                               float* dw) {
  if (Device* const device = device_of(pool))
    return device->linear_grad_weight_native(rows, row_starts, in, out, dy, x, dw);
  const std::int64_t tokens = row_starts[rows];
  linear_grad_weight(pool, rows, row_starts, in, out, rounded_bf16(pool, tokens * out, dy).data(),
                     rounded_bf16(pool, tokens * in, x).data(), dw);
}

double native_unit(std::int64_t depth) {
  return 0x1p-24 * std::sqrt(static_cast<double>(depth));
}

std::vector<double> native_norms(ThreadPool& pool, std::int64_t n, std::int64_t depth, const float* x,
                                 bool columns) {
  const std::vector<float> factor = rounded_bf16(pool, n * depth, x);
  std::vector<double> norms(static_cast<std::size_t>(n));
  for_chunks(pool, n, rows_per_chunk(depth), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      double sum = 0.0;
      for (std::int64_t k = 0; k < depth; ++k) {
        const double v = factor[static_cast<std::size_t>(columns ? k * n + i : i * depth + k)];
        sum += v * v;
      }
      norms[static_cast<std::size_t>(i)] = std::sqrt(sum);
    }
  });
  return norms;
}

}  // namespace aftune::kernels
