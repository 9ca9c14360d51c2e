#pragma once

// Own binary32 functions: polynomials in fmaf, without branches, tables or libm, so that they vectorise and
// give the same bits on every target. Coefficients are minimax fits, rounded to binary32. Errors are in
// docs/numerics.md.

#include "kernels/target.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// 2^n for -126 <= n <= 127.
AFTUNE_OP float power_of_two32(std::int32_t n) {
  return float32(static_cast<std::uint32_t>(n + 127) << 23);
}

/// e^x: 0 below about -103.97, infinity above about 88.72, NaN for NaN.
AFTUNE_OP float exp32(float x) {
  constexpr float kLog2E = 0x1.715476p+0f, kLn2High = 0x1.62e4p-1f, kLn2Low = 0x1.7f7d1cp-20f;
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
  constexpr float kRound = 0x1.8p+23f;
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  const float rounded = fma32(x, kLog2E, kRound);
  const float k = rounded - kRound;
  const float r = fma32(k, -kLn2Low, fma32(k, -kLn2High, x));
  float q = 0x1.6a247ap-10f;
  q = fma32(q, r, 0x1.1239e2p-7f);
  q = fma32(q, r, 0x1.5558f2p-5f);
  q = fma32(q, r, 0x1.555492p-3f);
  q = fma32(q, r, 0x1.fffffcp-2f);
  const float p = 1.0f + fma32(r * r, q, r);
  // 2^k is applied in two factors, each a normal number; only the second product can round. (For a NaN x,
  // n is meaningless and p is NaN.)
  const auto n = static_cast<std::int32_t>(bits32(rounded) - bits32(kRound));
  const std::int32_t half = n >> 1;
  return p * power_of_two32(half) * power_of_two32(n - half);
}

/// ln x: -infinity at 0, NaN below.
AFTUNE_OP float log32(float x) {
  constexpr float kLn2High = 0x1.62e4p-1f, kLn2Low = 0x1.7f7d1cp-20f, kSmallestNormal = 0x1p-126f;
  const bool tiny = x < kSmallestNormal;
  const float scaled = tiny ? x * 0x1p+23f : x;
  // x = 2^k * m with m in [sqrt(1/2), sqrt(2)).
  constexpr std::uint32_t kSqrtHalf = 0x3f3504f3;
  const std::uint32_t shifted = bits32(scaled) - kSqrtHalf;
  const std::int32_t exponent = static_cast<std::int32_t>(shifted) >> 23;
  const float m = float32((shifted & 0x007fffffu) + kSqrtHalf);
  const auto k = static_cast<float>(tiny ? exponent - 23 : exponent);
  const float f = m - 1.0f;
  float p = 0x1.1457a0p-4f;
  p = fma32(p, f, -0x1.de3c12p-4f);
  p = fma32(p, f, 0x1.e6f06cp-4f);
  p = fma32(p, f, -0x1.fc220ap-4f);
  p = fma32(p, f, 0x1.233768p-3f);
  p = fma32(p, f, -0x1.555c4ep-3f);
  p = fma32(p, f, 0x1.99a4b6p-3f);
  p = fma32(p, f, -0x1.000006p-2f);
  p = fma32(p, f, 0x1.555548p-2f);
  const float square = f * f;
  float tail = fma32(square * f, p, k * kLn2Low);
  tail = fma32(-0.5f, square, tail);
  const float result = fma32(k, kLn2High, f + tail);
  const float special = x == 0.0f ? -kInfinity32 : x > 0.0f ? x : kNan32;
  return x > 0.0f && x < kInfinity32 ? result : special;
}

/// The error function: odd, +-1 beyond 4, NaN for NaN. A polynomial near 0, 1 - e^-q(x) elsewhere.
AFTUNE_OP float erf32(float x) {
  const float s = x * x;
  float p = -0x1.36590ep-11f;
  p = fma32(p, s, 0x1.464ff0p-8f);
  p = fma32(p, s, -0x1.b66324p-6f);
  p = fma32(p, s, 0x1.ce17a8p-4f);
  p = fma32(p, s, -0x1.8126d4p-2f);
  p = fma32(p, s, 0x1.06eba4p-3f);
  const float near = fma32(p, x, x);
  const float magnitude = x < 0.0f ? -x : x;
  const float t = magnitude > 4.0f ? 4.0f : magnitude;
  float q = -0x1.bf7b5cp-13f;
  q = fma32(q, t, 0x1.a4bad2p-9f);
  q = fma32(q, t, -0x1.76c34ep-6f);
  q = fma32(q, t, 0x1.af0c4ep-4f);
  q = fma32(q, t, 0x1.457f6cp-1f);
  q = fma32(q, t, 0x1.072f82p-3f);
  const float far = 1.0f - exp32(-fma32(q, t, t));
  const float beyond = x < 0.0f ? -far : far;
  return magnitude > 0.9375f ? beyond : near;
}

/// x / (1 + e^-x)
AFTUNE_OP float silu32(float x) {
  return x / (1.0f + exp32(-x));
}

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
