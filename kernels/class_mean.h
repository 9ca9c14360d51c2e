#pragma once

#include "kernels/lanes.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// Of an image's positions, the first of which is its class token, that token beside the mean of the others.
struct ClassMean {
  static constexpr char kName[] = "class-mean/1";
  std::int64_t positions;  ///< of an image, at least 2
  std::int64_t h;

  /// Of an image x [positions, h], columns [0, width): the class token's to y, to y + h the chain of sums,
  /// from +0, of the other positions', divided by their number.
  template <class Lanes>
  AFTUNE_OP void columns(Lanes lanes, std::int64_t width, const float* x, float* y) const {
    const std::int64_t stride = h;
    const float count = static_cast<float>(positions - 1);
    lanes.each(width, [=](std::int64_t c) { y[c] = x[c]; });
    lanes.chains(
        width, positions - 1,
        [=](float acc, std::int64_t t, std::int64_t c) { return acc + x[(t + 1) * stride + c]; },
        [=](std::int64_t c, float sum) { y[stride + c] = sum / count; });
  }

  /// Position t's gradient dx [h] of dy [2 h].
  template <class Lanes>
  AFTUNE_OP void row_grad(Lanes lanes, std::int64_t t, const float* dy, float* dx) const {
    const float count = static_cast<float>(positions - 1);
    const float* const mean = dy + h;
    if (t == 0)
      lanes.each(h, [=](std::int64_t i) { dx[i] = dy[i]; });
    else
      lanes.each(h, [=](std::int64_t i) { dx[i] = mean[i] / count; });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
