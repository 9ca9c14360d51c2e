#pragma once

// Own binary64 functions for tables, schedules and initial values. Where one double is too short for a result
// within 2 ulp, a sum of two is carried.

#include "kernels/target.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// The unevaluated sum high + low, |low| at most about an ulp of high.
struct Pair64 {
  double high, low;
};

/// a + b without error, for |a| >= |b| or a = 0.
AFTUNE_OP Pair64 sum_ordered(double a, double b) {
  const double s = a + b;
  return {s, b - (s - a)};
}

/// a + b without error.
AFTUNE_OP Pair64 sum_exact(double a, double b) {
  const double s = a + b;
  const double b_part = s - a;
  return {s, (a - (s - b_part)) + (b - b_part)};
}

/// a * b without error.
AFTUNE_OP Pair64 product_exact(double a, double b) {
  const double p = a * b;
  return {p, fma64(a, b, -p)};
}

AFTUNE_OP Pair64 product(Pair64 a, Pair64 b) {
  const Pair64 p = product_exact(a.high, b.high);
  return {p.high, p.low + (a.high * b.low + a.low * b.high)};
}

/// 2^n for -1022 <= n <= 1023.
AFTUNE_OP double power_of_two64(std::int64_t n) {
  return float64(static_cast<std::uint64_t>(n + 1023) << 52);
}

inline constexpr double kLn2High = 0x1.62e42fefa4p-1;  // 40 bits: its product with an exponent is exact
inline constexpr double kLn2Low = -0x1.8432a1b0e2634p-43;
inline constexpr double kRound64 =
    0x1.8p+52;  // adding it rounds to an integer, which then stands in the low bits

/// e^(x + low), |low| far below |x| or 1.
AFTUNE_OP double exp_pair(double x, double low) {
  x = x > 710.0 ? 710.0 : x;
  x = x < -746.0 ? -746.0 : x;
  const double rounded = fma64(x, 0x1.71547652b82fep+0, kRound64);
  const double k = rounded - kRound64;
  const double r0 = fma64(k, -kLn2High, x);
  const double fine = fma64(k, -kLn2Low, low);
  const double r = r0 + fine;
  const double r_low = (r0 - r) + fine;
  double q = 0x1.1e3d3205644adp-29;
  q = fma64(q, r, 0x1.af6be80a0f254p-26);
  q = fma64(q, r, 0x1.27e5b443bb525p-22);
  q = fma64(q, r, 0x1.71ddf020be4a6p-19);
  q = fma64(q, r, 0x1.a01a01369033ap-16);
  q = fma64(q, r, 0x1.a01a01b37e3a6p-13);
  q = fma64(q, r, 0x1.6c16c16c3048cp-10);
  q = fma64(q, r, 0x1.111111110ec5dp-7);
  q = fma64(q, r, 0x1.5555555555503p-5);
  q = fma64(q, r, 0x1.555555555555bp-3);
  q = fma64(q, r, 0x1p-1);
  const double p = 1.0 + (r + fma64(r * r, q, fma64(r_low, r, r_low)));
  const auto n = static_cast<std::int64_t>(bits64(rounded) - bits64(kRound64));
  const std::int64_t half = n >> 1;
  return p * power_of_two64(half) * power_of_two64(n - half);
}

/// ln x as a pair, for finite x > 0.
AFTUNE_OP Pair64 log_pair(double x) {
  const bool tiny = x < 0x1p-1022;
  // x = 2^k * m with m in [sqrt(1/2), sqrt(2)).
  constexpr std::uint64_t kSqrtHalf = 0x3fe6a09e667f3bcd;
  const std::uint64_t shifted = bits64(tiny ? x * 0x1p+54 : x) - kSqrtHalf;
  const std::int64_t exponent = (static_cast<std::int64_t>(shifted) >> 52) - (tiny ? 54 : 0);
  const auto k = static_cast<double>(exponent);
  const double f = float64((shifted & 0x000fffffffffffffu) + kSqrtHalf) - 1.0;
  // ln m = 2 artanh(s), s = f / (2 + f): 2 s + 2/3 s^3 in pairs, the rest in one double.
  const Pair64 d = sum_ordered(2.0, f);
  const double s_high = f / d.high;
  const double s_low = (fma64(-s_high, d.high, f) - s_high * d.low) / d.high;
  const Pair64 s = {s_high, s_low};
  const Pair64 z = product(s, s);
  const Pair64 cube = product(z, s);
  const Pair64 third = product(cube, {0x1.5555555555555p-1, 0x1.5555555555555p-55});
  double q = 0x1.eb104dbb462cfp-4;
  q = fma64(q, z.high, 0x1.de3389bc0320fp-4);
  q = fma64(q, z.high, 0x1.1120b505ca14fp-3);
  q = fma64(q, z.high, 0x1.3b1362ba09727p-3);
  q = fma64(q, z.high, 0x1.745d183243e41p-3);
  q = fma64(q, z.high, 0x1.c71c71c580876p-3);
  q = fma64(q, z.high, 0x1.2492492493034p-2);
  q = fma64(q, z.high, 0x1.9999999999996p-2);
  const double rest = (cube.high * z.high) * q;
  const Pair64 ln_m = sum_ordered(2.0 * s.high, third.high);
  const Pair64 sum = sum_ordered(k * kLn2High, ln_m.high);
  const double low = ((ln_m.low + (2.0 * s.low + (third.low + rest))) + k * kLn2Low) + sum.low;
  return sum_ordered(sum.high, low);
}

/// sin and cos of x, |x| < 2^30; NaN or infinity give NaN.
struct SinCos64 {
  double sin, cos;
};

AFTUNE_OP SinCos64 sincos_pair(double x) {
  // r = x - n pi/2 in a pair; pi/2 in three doubles. The first product cancels without error, because x and
  // n * (first double) are multiples of 2^-53 and differ by less than 1.
  const double rounded = fma64(x, 0x1.45f306dc9c883p-1, kRound64);
  const double n = rounded - kRound64;
  const double r0 = fma64(-n, 0x1.921fb54442d18p+0, x);
  const Pair64 second = product_exact(n, 0x1.1a62633145c07p-54);
  const Pair64 difference = sum_exact(r0, -second.high);
  const double r = difference.high;
  const double low = fma64(-n, -0x1.f1976b7ed8fbcp-110, difference.low - second.low);
  const double z = r * r;
  double s = 0x1.5d9301523a4bap-33;
  s = fma64(s, z, -0x1.ae5e663bf0fbfp-26);
  s = fma64(s, z, 0x1.71de3577b8c74p-19);
  s = fma64(s, z, -0x1.a01a019c119cap-13);
  s = fma64(s, z, 0x1.111111110f87ap-7);
  s = fma64(s, z, -0x1.5555555555549p-3);
  const double sine = r + fma64(z * r, s, low * fma64(-0.5, z, 1.0));
  double c = -0x1.8fae9bea5625dp-37;
  c = fma64(c, z, 0x1.1ee9ebe86e706p-29);
  c = fma64(c, z, -0x1.27e4f809f01f7p-22);
  c = fma64(c, z, 0x1.a01a019cb1be1p-16);
  c = fma64(c, z, -0x1.6c16c16c1517ep-10);
  c = fma64(c, z, 0x1.555555555554cp-5);
  const double half = 0.5 * z;
  const double near_one = 1.0 - half;
  const double half_low = 0.5 * fma64(r, r, -z);
  const double cosine = near_one + (((1.0 - near_one) - half) + fma64(z * z, c, -fma64(r, low, half_low)));
  const std::uint64_t quadrant = bits64(rounded);
  const double first = (quadrant & 1) != 0 ? cosine : sine;
  const double other = (quadrant & 1) != 0 ? sine : cosine;
  return {(quadrant & 2) != 0 ? -first : first, ((quadrant + 1) & 2) != 0 ? -other : other};
}

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
