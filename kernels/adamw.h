#pragma once

#include "kernels/optimizer_scalars.h"
#include "kernels/target.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// AdamW in the order and with the roundings of PyTorch's single-tensor CPU loop.
struct AdamWUpdate {
  static constexpr char kName[] = "adamw/1";
  AdamW scalars;

  /// False if a new value is not finite.
  AFTUNE_OP bool element(float gradient, float& p, float& m, float& v) const {
    const float g = gradient * scalars.clip;
    m = fma32(scalars.one_minus_beta1, g - m, m);
    v = fma32(scalars.one_minus_beta2 * g, g, v * scalars.beta2);
    const float denominator = sqrt32(v) / scalars.bias2_sqrt + scalars.eps;
    p = p * scalars.decay - (scalars.step_size * m) / denominator;
    return finite32(p) & finite32(m) & finite32(v);
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
