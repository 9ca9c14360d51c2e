#pragma once

#include "kernels/lanes.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

struct LayerScale {
  static constexpr char kName[] = "layer-scale/1";
  std::int64_t h;

  template <class Lanes>
  AFTUNE_OP void row(Lanes lanes, const float* x, const float* w, float* y) const {
    lanes.each(h, [=](std::int64_t i) { y[i] = x[i] * w[i]; });
  }

  /// dw[0, width) += the chain over `length` tokens of dy * x; x and dy are rows of h elements.
  template <class Lanes>
  AFTUNE_OP void columns_grad_weight(Lanes lanes, std::int64_t width, std::int64_t length, const float* x,
                                     const float* dy, float* dw) const {
    const std::int64_t stride = h;
    lanes.chains(
        width, length,
        [=](float acc, std::int64_t t, std::int64_t c) {
          return fma32(dy[t * stride + c], x[t * stride + c], acc);
        },
        [=](std::int64_t c, float sum) { dw[c] = dw[c] + (sum + 0.0f); });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
