#pragma once

#include "base/philox.h"
#include "kernels/dropout_scalars.h"
#include "kernels/lanes.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// Four random words: Philox4x32-10, as base/philox.h has it, in a form that all targets compile.
struct PhiloxWords {
  std::uint32_t a, b, c, d;

  AFTUNE_OP void rounds(std::uint32_t k0, std::uint32_t k1) {
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53} * a, p1 = std::uint64_t{0xCD9E8D57} * c;
      a = static_cast<std::uint32_t>(p1 >> 32) ^ b ^ k0;
      b = static_cast<std::uint32_t>(p1);
      c = static_cast<std::uint32_t>(p0 >> 32) ^ d ^ k1;
      d = static_cast<std::uint32_t>(p0);
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
  }
};

struct Dropout {
  static constexpr char kName[] = "dropout/1";
  std::uint32_t threshold;  ///< an element whose word is below it becomes +0
  float scale;              ///< of the others
  std::uint32_t seed_low, seed_high, site;

  /// One token: element e has word e mod 4 of the block of counter (e / 4, token, row, site). y may be x.
  template <class Lanes>
  AFTUNE_OP void row(Lanes lanes, std::int64_t h, std::uint32_t token, std::uint32_t row, const float* x,
                     float* y) const {
    const Dropout op = *this;
    lanes.each((h + 3) / 4, [=](std::int64_t block) {
      PhiloxWords words{static_cast<std::uint32_t>(block), token, row, op.site};
      words.rounds(op.seed_low, op.seed_high);
      const auto put = [&](std::int64_t i, std::uint32_t word) {
        if (i < h) y[i] = word < op.threshold ? 0.0f : x[i] * op.scale;
      };
      put(4 * block, words.a);
      put(4 * block + 1, words.b);
      put(4 * block + 2, words.c);
      put(4 * block + 3, words.d);
    });
  }
};

/// Precondition: 0 <= p < 1.
inline Dropout dropout_of(const DropoutSite& site) {
  constexpr auto kPurpose = static_cast<std::uint32_t>(Purpose::kDropout);
  return {static_cast<std::uint32_t>(site.p * 0x1p32), static_cast<float>(1.0 / (1.0 - site.p)),
          static_cast<std::uint32_t>(site.seed), static_cast<std::uint32_t>(site.seed >> 32),
          kPurpose << 16 | site.layer << 8 | site.place};
}

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
