#pragma once

#include "kernels/optimizer_scalars.h"
#include "kernels/target.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// AdamW in the order and with the roundings of PyTorch's single-tensor CPU loop.
struct AdamWUpdate {
  static constexpr char kName[] = "adamw/1";
  AdamW scalars;

  struct State {
    float p, m, v;
    AFTUNE_OP bool finite() const { return finite32(p) & finite32(m) & finite32(v); }
  };

  AFTUNE_OP State element(float gradient, State old) const {
    const float g = gradient * scalars.clip;
    const float m = fma32(scalars.one_minus_beta1, g - old.m, old.m);
    const float v = fma32(scalars.one_minus_beta2 * g, g, old.v * scalars.beta2);
    const float denominator = sqrt32(v) / scalars.bias2_sqrt + scalars.eps;
    const float p = old.p * scalars.decay - (scalars.step_size * m) / denominator;
    return {p, m, v};
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
