#include "kernels/cpu/products.h"

#include "kernels/ops.h"

namespace aftune::kernels {

const ProductTable& product_table(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return avx512::product_table;
  if (isa == Isa::kAvx2) return avx2::product_table;
#endif
  static_cast<void>(isa);
  return scalar::product_table;
}

void linear(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out, const float* x,
            const float* w, float* y, Into into) {
  const ProductTable& table = product_table(active_isa());
  pool.run(n, [&](std::int64_t i) {
    table.product(i, i + 1, out, in, x, in, 1, w, 1, in, y, into == Into::kAdd);
  });
}

void linear_grad_input(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out, const float* dy,
                       const float* w, float* dx, Into into) {
  const ProductTable& table = product_table(active_isa());
  pool.run(n, [&](std::int64_t i) {
    table.product(i, i + 1, in, out, dy, out, 1, w, in, 1, dx, into == Into::kAdd);
  });
}

void linear_grad_weight(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts, std::int64_t in,
                        std::int64_t out, const float* dy, const float* x, float* dw) {
  const ProductTable& table = product_table(active_isa());
  pool.run(out, [&](std::int64_t o) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t t = row_starts[r];
      table.product(o, o + 1, in, row_starts[r + 1] - t, dy + t * out, 1, out, x + t * in, in, 1, dw, true);
    }
  });
}

}  // namespace aftune::kernels
