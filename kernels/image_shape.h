#pragma once

#include <cstdint>

namespace aftune::kernels {

/// Square images, cut into square patches without a rest.
struct ImageShape {
  std::int64_t channels = 0;
  std::int64_t size = 0;   ///< pixels on a side
  std::int64_t patch = 0;  ///< pixels on a patch's side

  std::int64_t patches() const { return (size / patch) * (size / patch); }
  std::int64_t patch_width() const { return channels * patch * patch; }
  std::int64_t pixels() const { return channels * size * size; }
  friend bool operator==(const ImageShape&, const ImageShape&) = default;
};

}  // namespace aftune::kernels
