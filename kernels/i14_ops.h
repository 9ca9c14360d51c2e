#pragma once

// The arithmetic of profile i14 (docs/numerics.products.md): how one group of a factor becomes integers.

#include "kernels/target.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

struct QuantiseI14 {
  static constexpr const char* kName = "quantise-i14/1";
  static constexpr float kMost = 8127.0f;
  static constexpr float kLeast = 0x1p-100f;  ///< a group that is smaller everywhere is all zero
  static constexpr std::int64_t kMostSquares = 0x7fffffff;

  int group = 0;

  /// q = rint(x * inverse), x is about q * scale; an inverse of zero means that every q is 0, NaN or not.
  struct Steps {
    float inverse, scale;
  };

  /// `most_bits` is the largest of the group's bit patterns without their signs: those of NaN and infinity
  /// are above all others.
  AFTUNE_OP static Steps from_largest(std::uint32_t most_bits) {
    if (most_bits >= 0x7f800000u) return {0.0f, kNan32};
    const float most = float32(most_bits);
    if (most < kLeast) return {0.0f, 0.0f};
    const float inverse = kMost / most;
    return {inverse, 1.0f / inverse};
  }

  /// Steps for integers whose squares sum to at most kMostSquares, given that sum for those of `steps`.
  AFTUNE_OP Steps within_norm(Steps steps, std::int64_t squares) const {
    if (squares <= kMostSquares) return steps;
    const float inverse = steps.inverse * (norm() / sqrt32(static_cast<float>(squares)));
    return {inverse, 1.0f / inverse};
  }

  AFTUNE_OP static std::int32_t integer(float x, float inverse) {
    if (inverse == 0.0f) return 0;
    // Adding and taking away 1.5 * 2^23 rounds to an integer, to nearest even.
    return static_cast<std::int32_t>((x * inverse + 0x1.8p+23f) - 0x1.8p+23f);
  }

  /// 46340 - (ceil(sqrt(group)) + 1)
  AFTUNE_OP constexpr float norm() const {
    return group <= 128 ? 46327.0f : group <= 256 ? 46323.0f : group <= 512 ? 46316.0f : 46307.0f;
  }
};

struct MatmulI14 {
  static constexpr const char* kName = "matmul-i14/1";
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
