#pragma once

#include "kernels/lanes.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

struct Embedding {
  static constexpr char kName[] = "embedding/1";
  std::int64_t h;

  template <class Lanes>
  AFTUNE_OP void row(Lanes lanes, std::int32_t id, const float* table, float* y) const {
    const float* entry = table + id * h;
    lanes.each(h, [=](std::int64_t i) { y[i] = entry[i]; });
  }

  /// dentry[0, width) += the chain of sums, from +0, of the rows of dy at `positions`, ascending.
  template <class Lanes>
  AFTUNE_OP void columns_grad(Lanes lanes, std::int64_t width, std::int64_t length,
                              const std::int64_t* positions, const float* dy, float* dentry) const {
    const std::int64_t stride = h;
    lanes.chains(
        width, length,
        [=](float acc, std::int64_t t, std::int64_t c) { return acc + dy[positions[t] * stride + c]; },
        [=](std::int64_t c, float sum) { dentry[c] = dentry[c] + sum; });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
