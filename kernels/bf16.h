#pragma once

#include "kernels/lanes.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// What a factor of a native product becomes: the nearest number of 8 binary digits, as an f32.
struct RoundBf16 {
  static constexpr char kName[] = "round-bf16/1";

  /// Its bits, of which the lower 16 are zero. Ties go to the even one; a number beyond the largest becomes
  /// infinite; a NaN stays one, whatever its payload.
  AFTUNE_OP static std::uint32_t bits(float x) {
    const std::uint32_t u = bits32(x);
    const std::uint32_t rounded = u + 0x7fffu + ((u >> 16) & 1u);
    const bool is_nan = (u & 0x7fffffffu) > 0x7f800000u;
    return (is_nan ? u | 0x00400000u : rounded) & 0xffff0000u;
  }

  template <class Lanes>
  AFTUNE_OP void elements(Lanes lanes, std::int64_t n, const float* x, float* y) const {
    lanes.each(n, [=](std::int64_t i) { y[i] = float32(bits(x[i])); });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
