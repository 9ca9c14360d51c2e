#pragma once

// Inputs and comparisons that the tests of the kernels share.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/cpu.h"
#include "base/philox.h"

namespace aftune::kernels {

using Floats = std::vector<float>;

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// The numbers of threads that a test of threads has to try. What a sanitizer finds it
/// finds with any of them.
inline std::vector<int> thread_counts() {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  return {3};
#else
  return {1, 2, 3};
#endif
}

/// The instruction sets that this CPU and AFTUNE_ISA allow; the sets are ordered, each containing the one
/// before.
inline std::vector<Isa> usable_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni})
    if (isa <= active_isa()) isas.push_back(isa);
  return isas;
}

/// Lengths around every edge of lanes, vector registers and blocks.
inline const std::vector<std::int64_t> kLengths = {0,    1,    3,    7,    8,    15,   16,  17,  31,
                                                   32,   33,   63,   64,   100,  255,  256, 257, 1000,
                                                   1023, 1024, 1025, 2047, 2048, 2049, 5000};

/// Values in (-scale, scale), a pure function of seed and index.
inline Floats uniform(std::int64_t n, std::uint64_t seed, float scale = 1.0f) {
  Floats x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto word = static_cast<std::int32_t>(philox({static_cast<std::uint32_t>(i), 0, 0, 77}, seed)[0]);
    x[i] = scale * (static_cast<float>(word >> 8) * 0x1p-23f);
  }
  return x;
}

/// As uniform, with zeros of both signs and subnormals strewn in.
inline Floats awkward(std::int64_t n, std::uint64_t seed, float scale = 1.0f) {
  Floats x = uniform(n, seed, scale);
  constexpr float kSpecials[] = {0.0f, -0.0f, 0x1p-149f, -0x1p-149f, 0x1.8p-127f, -0x1p-126f, 1.0f, -1.0f};
  for (std::size_t i = 0; i < x.size(); i += 5) x[i] = kSpecials[(i / 5 + seed) % std::size(kSpecials)];
  return x;
}

/// Equal to the bit; a NaN equals a NaN, since only its being one is defined.
inline ::testing::AssertionResult same_bits(const Floats& a, const Floats& b) {
  if (a.size() != b.size())
    return ::testing::AssertionFailure() << a.size() << " and " << b.size() << " elements";
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (std::bit_cast<std::uint32_t>(a[i]) != std::bit_cast<std::uint32_t>(b[i]))
      return ::testing::AssertionFailure()
             << "element " << i << ": " << std::hexfloat << a[i] << " and " << b[i];
  }
  return ::testing::AssertionSuccess();
}

}  // namespace aftune::kernels
