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
    const float m = first_moment(g, old.m), v = second_moment(g, old.v);
    return {moved(old.p, m, v), m, v};
  }

  /// Of a clipped gradient g; each rises with g, and with its magnitude.
  AFTUNE_OP float first_moment(float g, float m) const { return fma32(scalars.one_minus_beta1, g - m, m); }
  AFTUNE_OP float second_moment(float g, float v) const {
    return fma32(scalars.one_minus_beta2 * g, g, v * scalars.beta2);
  }
  /// By the new moments.
  AFTUNE_OP float moved(float p, float m, float v) const {
    const float denominator = sqrt32(v) / scalars.bias2_sqrt + scalars.eps;
    return p * scalars.decay - (scalars.step_size * m) / denominator;
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
