#pragma once

#include "kernels/optimizer_scalars.h"
#include "kernels/target.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// SGD in PyTorch's order: weight decay joins the gradient; no dampening, no Nesterov.
struct SgdUpdate {
  static constexpr char kName[] = "sgd/1";
  Sgd scalars;

  /// The gradient with clipping and weight decay.
  AFTUNE_OP float gradient(float g, float p) const { return fma32(scalars.decay, p, g * scalars.clip); }
  /// The new momentum buffer.
  AFTUNE_OP float buffered(float buffer, float g) const {
    return scalars.first ? g : buffer * scalars.momentum + g;
  }
  /// The new parameter.
  AFTUNE_OP float moved(float p, float direction) const { return fma32(-scalars.lr, direction, p); }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
