#pragma once

#include "kernels/lanes.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

struct Add {
  static constexpr char kName[] = "add/1";

  template <class Lanes>
  AFTUNE_OP void elements(Lanes lanes, std::int64_t n, const float* a, const float* b, float* y) const {
    lanes.each(n, [=](std::int64_t i) { y[i] = a[i] + b[i]; });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
