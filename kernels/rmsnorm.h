#pragma once

#include "kernels/lanes.h"
#include "kernels/math.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

struct RmsNorm {
  static constexpr char kName[] = "rmsnorm/1";
  std::int64_t h;
  float eps;

  /// y = (x * inv) * w; returns inv = 1 / sqrt(rowsum(x^2) / h + eps), NaN if the sum overflows: the division
  /// would hide that in zeros.
  template <class Lanes>
  AFTUNE_OP float row(Lanes lanes, const float* x, const float* w, float* y) const {
    const float squares = lanes.sum(h, [=](float acc, std::int64_t i) { return fma32(x[i], x[i], acc); });
    const float root = sqrt32(squares / static_cast<float>(h) + eps);
    const float inv = finite32(root) ? 1.0f / root : kNan32;
    lanes.each(h, [=](std::int64_t i) { y[i] = (x[i] * inv) * w[i]; });
    return inv;
  }

  /// dx = inv * (w dy - x inv mean), mean = rowsum(w dy x inv) / h; stored or added.
  template <class Lanes>
  AFTUNE_OP void row_grad_input(Lanes lanes, const float* x, const float* w, float inv, const float* dy,
                                float* dx, bool add) const {
    const float dot =
        lanes.sum(h, [=](float acc, std::int64_t i) { return fma32(w[i] * dy[i], x[i] * inv, acc); });
    const float mean = dot / static_cast<float>(h);
    const auto grad = [=](std::int64_t i) { return inv * fma32(-(x[i] * inv), mean, w[i] * dy[i]); };
    if (add)
      lanes.each(h, [=](std::int64_t i) { dx[i] = dx[i] + grad(i); });
    else
      lanes.each(h, [=](std::int64_t i) { dx[i] = grad(i); });
  }

  /// dw[0, width) += the chain over `length` tokens of dy * (x inv); x and dy are rows of h elements.
  template <class Lanes>
  AFTUNE_OP void columns_grad_weight(Lanes lanes, std::int64_t width, std::int64_t length, const float* x,
                                     const float* inv, const float* dy, float* dw) const {
    const std::int64_t stride = h;
    lanes.chains(
        width, length,
        [=](float acc, std::int64_t t, std::int64_t c) {
          return fma32(dy[t * stride + c], x[t * stride + c] * inv[t], acc);
        },
        [=](std::int64_t c, float sum) { dw[c] = dw[c] + (sum + 0.0f); });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
