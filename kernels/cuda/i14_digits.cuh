#pragma once

// The integers of both factors are split in base 128, q = 128 h + l with l = ((q + 64) mod 128) - 64 and
// h = (q - l) / 128. For |q| <= 8127: -64 <= l <= 63; h = floor((q + 64) / 128), from floor(-8063 / 128) =
// -63 to floor(8191 / 128) = 63; h + l is between -127 and 126. So h, l and h + l are 8-bit integers, and
// three products of bytes give the dot product S of two groups (Karatsuba and Ofman): with
//   hh = sum of h h', ll = sum of l l', m = sum of (h + l)(h' + l') = hh + ll + sum of (h l' + l h'),
//   S = 16384 hh + 128 (m - hh - ll) + ll = 127 (128 hh - ll) + 128 m.
// For at most 1024 indices each of the three is at most 1024 * 127^2 < 2^24 in magnitude. The right side is
// formed modulo 2^32, which gives S itself, because |S| < 2^31 (docs/numerics.products.md, "Bound").

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/i14.h"
#include "kernels/target.h"

namespace aftune::kernels::cuda {
namespace {

constexpr int kChunk = 32;  // bytes: the depth of one multiplication of the tensor cores

struct Digits {
  std::int8_t high, low;
};

AFTUNE_OP Digits split(std::int32_t q) {
  const std::int32_t high = (q + 64) >> 7;
  return {static_cast<std::int8_t>(high), static_cast<std::int8_t>(q - high * 128)};
}

AFTUNE_OP std::int32_t whole(std::int8_t high, std::int8_t low) {
  return high * 128 + low;
}

/// The sums of four bytes each, which do not overflow.
AFTUNE_OP std::uint32_t add_bytes(std::uint32_t a, std::uint32_t b) {
  return ((a & 0x7f7f7f7fu) + (b & 0x7f7f7f7fu)) ^ ((a ^ b) & 0x80808080u);
}

AFTUNE_OP uint4 add_bytes(const uint4& a, const uint4& b) {
  return {add_bytes(a.x, b.x), add_bytes(a.y, b.y), add_bytes(a.z, b.z), add_bytes(a.w, b.w)};
}

/// S of the three sums.
AFTUNE_OP std::int32_t whole_dot(std::int32_t hh, std::int32_t ll, std::int32_t m) {
  return static_cast<std::int32_t>(
      127u * (128u * static_cast<std::uint32_t>(hh) - static_cast<std::uint32_t>(ll)) +
      128u * static_cast<std::uint32_t>(m));
}

/// A chain's end.
AFTUNE_OP void finish(float* to, float acc, bool add) {
  const float result = acc + 0.0f;
  *to = add ? *to + result : result;
}

}  // namespace
}  // namespace aftune::kernels::cuda
