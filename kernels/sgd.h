#pragma once

#include "kernels/optimizer_scalars.h"
#include "kernels/target.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// SGD in PyTorch's order: weight decay joins the gradient; no dampening, no Nesterov.
struct SgdUpdate {
  static constexpr char kName[] = "sgd/1";
  Sgd scalars;

  /// False if the new value is not finite.
  AFTUNE_OP bool element(float gradient, float& p) const {
    const float g = fma32(scalars.decay, p, gradient * scalars.clip);
    p = fma32(-scalars.lr, g, p);
    return finite32(p);
  }

  AFTUNE_OP bool element(float gradient, float& p, float& buffer) const {
    const float g = fma32(scalars.decay, p, gradient * scalars.clip);
    buffer = scalars.first ? g : buffer * scalars.momentum + g;
    p = fma32(-scalars.lr, buffer, p);
    return finite32(p) & finite32(buffer);
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
