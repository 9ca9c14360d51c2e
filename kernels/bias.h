#pragma once

#include "kernels/lanes.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

struct Bias {
  static constexpr char kName[] = "bias/1";
  std::int64_t h;

  template <class Lanes>
  AFTUNE_OP void row(Lanes lanes, const float* b, float* x) const {
    lanes.each(h, [=](std::int64_t i) { x[i] = x[i] + b[i]; });
  }

  /// db[0, width) += the chain of sums, from +0, of dy over `length` tokens; dy has rows of h elements.
  template <class Lanes>
  AFTUNE_OP void columns_grad(Lanes lanes, std::int64_t width, std::int64_t length, const float* dy,
                              float* db) const {
    const std::int64_t stride = h;
    lanes.chains(
        width, length, [=](float acc, std::int64_t t, std::int64_t c) { return acc + dy[t * stride + c]; },
        [=](std::int64_t c, float sum) { db[c] = db[c] + sum; });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
