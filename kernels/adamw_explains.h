#pragma once

#include <optional>

#include "kernels/optimizer_scalars.h"

namespace aftune::kernels {

/// A parameter with its moments.
struct AdamWElement {
  float p = 0, m = 0, v = 0;
};

/// Whether a step of adamw/1 can have led from one to the other: how far the nearest clipped gradient that
/// leads there, to the bit, is from `gradient`, which is not clipped yet. None if there is no such gradient.
/// All are finite. adamw/1 rises with the gradient in m and with its magnitude in v, so the gradients are
/// found by halving; p must be what m and v give.
std::optional<double> adamw_explains(const AdamW& op, const AdamWElement& before, const AdamWElement& after,
                                     float gradient);

}  // namespace aftune::kernels
