#pragma once

#include "kernels/image_shape.h"
#include "kernels/lanes.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// The square patches of an image, as rows: no arithmetic, but which pixel stands where.
struct Patches {
  static constexpr char kName[] = "patches/1";
  ImageShape shape;

  /// Patch `patch`, counted by rows of patches, of the image x [channels, size, size]: its pixels by channel,
  /// then by row, as a convolution's weight has them.
  template <class Lanes>
  AFTUNE_OP void row(Lanes lanes, std::int64_t patch, const float* x, float* y) const {
    const std::int64_t p = shape.patch, size = shape.size, side = size / p;
    const float* const corner = x + patch / side * p * size + patch % side * p;
    lanes.each(shape.channels * p * p, [=](std::int64_t i) {
      const std::int64_t channel = i / (p * p), row = i / p % p;
      y[i] = corner[(channel * size + row) * size + i % p];
    });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
