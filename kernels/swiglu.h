#pragma once

#include "kernels/lanes.h"
#include "kernels/math.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

struct SwiGlu {
  static constexpr char kName[] = "swiglu/1";

  /// y = silu(gate) * up
  template <class Lanes>
  AFTUNE_OP void elements(Lanes lanes, std::int64_t n, const float* gate, const float* up, float* y) const {
    lanes.each(n, [=](std::int64_t i) { y[i] = silu32(gate[i]) * up[i]; });
  }

  /// dgate = (dy * up) * (s * (1 + gate * (1 - s))), s = sigmoid(gate), the bracket one fma; dup = dy *
  /// silu(gate).
  template <class Lanes>
  AFTUNE_OP void elements_grad(Lanes lanes, std::int64_t n, const float* gate, const float* up,
                               const float* dy, float* dgate, float* dup) const {
    lanes.each(n, [=](std::int64_t i) {
      const float x = gate[i], d = dy[i], u = up[i];
      const float denominator = 1.0f + exp32(-x);
      const float s = 1.0f / denominator;
      dgate[i] = (d * u) * (s * fma32(x, 1.0f - s, 1.0f));
      dup[i] = d * (x / denominator);
    });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
