#include "kernels/cpu/products.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

void product(std::int64_t first, std::int64_t last, std::int64_t n, std::int64_t depth, const float* a,
             std::int64_t a_row, std::int64_t a_k, const float* b, std::int64_t b_k, std::int64_t b_col,
             float* c, bool add) {
  constexpr std::int64_t kWide = 16;
  for (std::int64_t i = first; i < last; ++i) {
    for (std::int64_t j = 0; j < n; j += kWide) {
      const std::int64_t cols = n - j < kWide ? n - j : kWide;
      float acc[kWide] = {};
      for (std::int64_t k = 0; k < depth; ++k) {
        const float factor = a[i * a_row + k * a_k];
        for (std::int64_t l = 0; l < cols; ++l)
          acc[l] = __builtin_fmaf(factor, b[k * b_k + (j + l) * b_col], acc[l]);
      }
      float* out = c + i * n + j;
      for (std::int64_t l = 0; l < cols; ++l) out[l] = add ? out[l] + (acc[l] + 0.0f) : acc[l] + 0.0f;
    }
  }
}

}  // namespace

const ProductTable product_table = {product};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
