#pragma once

#include <cstdint>

namespace aftune::kernels {

/// Where a dropout stands, and how much it drops (docs/numerics.md, "Random numbers").
struct DropoutSite {
  double p = 0;            ///< part that becomes zero, in [0, 1)
  std::uint64_t seed = 0;  ///< of the recipe
  std::uint32_t row = 0;   ///< global number of the first row
  std::uint32_t layer = 0, place = 0;
};

}  // namespace aftune::kernels
