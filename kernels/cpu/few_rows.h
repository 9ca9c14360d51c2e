#pragma once

// Products of a few rows, which take the right factor as it lies: packing it, as products.h does, costs more
// than multiplying so few rows by it.

#include <cstdint>

#include "base/cpu.h"
#include "base/parallel.h"

namespace aftune::kernels {

/// c[r, j] = chain over k of (left[k, r], right[j, k]), stored or added. Element (k, r) of the left factor is
/// at left[k * rows + r], (j, k) of the right one at right[j * right_stride + k].
struct FewRows {
  std::int64_t rows = 0, cols = 0, depth = 0;
  const float* left = nullptr;
  const float* right = nullptr;
  std::int64_t right_stride = 0;
  bool adds = false;
  float* c = nullptr;
  std::int64_t c_stride = 0;
};

/// Beyond so many rows packing pays, and chains would not fit the registers.
inline constexpr std::int64_t kFewRows = 8;

namespace scalar {
void multiply_few(const FewRows& product);
}
namespace avx2 {
void multiply_few(const FewRows& product);
}
namespace avx512 {
void multiply_few(const FewRows& product);
}

/// The product whose left factor x is [rows, depth], dense, with right[cols, depth] at c[rows, cols]. At most
/// kFewRows rows.
void multiply_few(ThreadPool& pool, Isa isa, const float* x, FewRows product);

}  // namespace aftune::kernels
