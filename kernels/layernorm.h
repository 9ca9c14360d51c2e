#pragma once

#include "kernels/lanes.h"
#include "kernels/math.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// Ba, Kiros and Hinton 2016, with the variance about the mean that was found, so that none cancels.
struct LayerNorm {
  static constexpr char kName[] = "layernorm/1";
  std::int64_t h;
  float eps;

  /// What backward needs of a row.
  struct Moments {
    float mean, inv;
  };

  /// y = ((x - mean) * inv) * w + b, the last two one fma; inv = 1 / sqrt(rowsum((x - mean)^2) / h + eps),
  /// NaN if the sum overflows: the division would hide that in zeros.
  template <class Lanes>
  AFTUNE_OP Moments row(Lanes lanes, const float* x, const float* w, const float* b, float* y) const {
    const auto count = static_cast<float>(h);
    const float mean = lanes.sum(h, [=](float acc, std::int64_t i) { return acc + x[i]; }) / count;
    const float squares =
        lanes.sum(h, [=](float acc, std::int64_t i) { return fma32(x[i] - mean, x[i] - mean, acc); });
    const float root = sqrt32(squares / count + eps);
    const float inv = finite32(root) ? 1.0f / root : kNan32;
    lanes.each(h, [=](std::int64_t i) { y[i] = fma32((x[i] - mean) * inv, w[i], b[i]); });
    return {mean, inv};
  }

  /// dx = inv * (w dy - rowsum(w dy) / h - xhat rowsum(w dy xhat) / h), xhat = (x - mean) inv; stored or
  /// added.
  template <class Lanes>
  AFTUNE_OP void row_grad_input(Lanes lanes, const float* x, const float* w, Moments of, const float* dy,
                                float* dx, bool add) const {
    const auto count = static_cast<float>(h);
    const float mean = of.mean, inv = of.inv;
    const float sum = lanes.sum(h, [=](float acc, std::int64_t i) { return fma32(w[i], dy[i], acc); });
    const float dot = lanes.sum(
        h, [=](float acc, std::int64_t i) { return fma32(w[i] * dy[i], (x[i] - mean) * inv, acc); });
    const float shift = sum / count, slope = dot / count;
    const auto grad = [=](std::int64_t i) {
      return inv * fma32(-((x[i] - mean) * inv), slope, w[i] * dy[i] - shift);
    };
    if (add)
      lanes.each(h, [=](std::int64_t i) { dx[i] = dx[i] + grad(i); });
    else
      lanes.each(h, [=](std::int64_t i) { dx[i] = grad(i); });
  }

  /// dw[0, width) += the chain over `length` tokens of dy * xhat; x and dy are rows of h elements. The
  /// gradient of b is that of bias/1.
  template <class Lanes>
  AFTUNE_OP void columns_grad_weight(Lanes lanes, std::int64_t width, std::int64_t length, const float* x,
                                     const float* mean, const float* inv, const float* dy, float* dw) const {
    const std::int64_t stride = h;
    lanes.chains(
        width, length,
        [=](float acc, std::int64_t t, std::int64_t c) {
          return fma32(dy[t * stride + c], (x[t * stride + c] - mean[t]) * inv[t], acc);
        },
        [=](std::int64_t c, float sum) { dw[c] = dw[c] + (sum + 0.0f); });
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
