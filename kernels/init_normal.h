#pragma once

#include "kernels/lanes.h"
#include "kernels/math64.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// Two normal(0, std) values from two random words, by Box and Muller's transform in binary64.
struct InitNormal {
  static constexpr char kName[] = "init-normal/1";
  double std;

  /// words and x hold 2 * pairs elements.
  template <class Lanes>
  AFTUNE_OP void pairs(Lanes lanes, std::int64_t pairs, const std::uint32_t* words, float* x) const {
    constexpr double kTwoPi = 0x1.921fb54442d18p+2;
    const double scale = std;
    lanes.each(pairs, [=](std::int64_t i) {
      const double u = (static_cast<double>(words[2 * i]) + 0.5) * 0x1p-32;
      const double radius = sqrt64(-2.0 * log_pair(u).high) * scale;
      const SinCos64 turn = sincos_pair(kTwoPi * (static_cast<double>(words[2 * i + 1]) * 0x1p-32));
      x[2 * i] = static_cast<float>(radius * turn.cos);
      x[2 * i + 1] = static_cast<float>(radius * turn.sin);
    });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
