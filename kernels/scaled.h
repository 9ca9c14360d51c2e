#pragma once

#include "kernels/lanes.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

struct Scaled {
  static constexpr char kName[] = "scaled/1";
  float s;

  template <class Lanes>
  AFTUNE_OP void elements(Lanes lanes, std::int64_t n, const float* x, float* y) const {
    const float factor = s;
    lanes.each(n, [=](std::int64_t i) { y[i] = factor * x[i]; });
  }

  template <class Lanes>
  AFTUNE_OP void elements_added(Lanes lanes, std::int64_t n, const float* x, float* y) const {
    const float factor = s;
    lanes.each(n, [=](std::int64_t i) { y[i] = fma32(factor, x[i], y[i]); });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
