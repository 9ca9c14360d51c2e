#pragma once

#include "kernels/lanes.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

struct RowSum {
  static constexpr char kName[] = "rowsum/1";

  template <class Lanes>
  AFTUNE_OP float row(Lanes lanes, std::int64_t n, const float* x) const {
    return lanes.sum(n, [=](float acc, std::int64_t i) { return acc + x[i]; });
  }
};

struct SumSquares {
  static constexpr char kName[] = "sum-squares/1";

  /// The rowsum of squares of n <= 1024 elements; the caller adds these in binary64, in order.
  template <class Lanes>
  AFTUNE_OP float block(Lanes lanes, std::int64_t n, const float* x) const {
    return lanes.sum(n, [=](float acc, std::int64_t i) { return fma32(x[i], x[i], acc); });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
