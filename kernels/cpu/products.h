#pragma once

// The per-ISA half of the matrix products and of attention.

#include <cstdint>

#include "base/cpu.h"

namespace aftune::kernels {

struct ProductTable {
  /// c[i, j] for i in [first, last): chain over k of a(i, k) * b(k, j), stored or added. Strides in elements.
  void (*product)(std::int64_t first, std::int64_t last, std::int64_t n, std::int64_t depth, const float* a,
                  std::int64_t a_row, std::int64_t a_k, const float* b, std::int64_t b_k, std::int64_t b_col,
                  float* c, bool add);
};

namespace scalar {
extern const ProductTable product_table;
}
namespace avx2 {
extern const ProductTable product_table;
}
namespace avx512 {
extern const ProductTable product_table;
}

const ProductTable& product_table(Isa isa);

}  // namespace aftune::kernels
