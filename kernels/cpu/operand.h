#pragma once

#include <cstdint>

namespace aftune::kernels {

/// A matrix seen as a factor of a product: index i (a row of C for the left factor, a column for the right
/// one) and depth k (the contracted index).
struct Operand {
  const float* data = nullptr;
  std::int64_t stride = 0;
  bool depth_outer = false;  ///< element (i, k) at data[k * stride + i], otherwise at data[i * stride + k]
};

}  // namespace aftune::kernels
