#pragma once

#include "kernels/lanes.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

struct Rope {
  static constexpr char kName[] = "rope/1";
  std::int64_t heads, head_dim;
  bool inverse;

  /// Rotates the pairs (i, i + head_dim / 2) of every head by the angle whose cos and sin are given.
  template <class Lanes>
  AFTUNE_OP void row(Lanes lanes, const float* cos, const float* sin, float* x) const {
    const std::int64_t half = head_dim / 2;
    const float sign = inverse ? -1.0f : 1.0f;
    for (std::int64_t head = 0; head < heads; ++head) {
      float* low = x + head * head_dim;
      float* high = low + half;
      lanes.each(half, [=](std::int64_t i) {
        const float a = low[i], b = high[i], c = cos[i], s = sign * sin[i];
        low[i] = fma32(-b, s, a * c);
        high[i] = fma32(a, s, b * c);
      });
    }
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
