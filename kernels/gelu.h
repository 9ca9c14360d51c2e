#pragma once

#include "kernels/gelu_form.h"
#include "kernels/lanes.h"
#include "kernels/math.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// Hendrycks and Gimpel 2016: x Phi(x), Phi being the normal distribution's function.
struct Gelu {
  static constexpr char kName[] = "gelu/1";

  static AFTUNE_OP float distribution(float x) {
    constexpr float kSqrtHalf = 0x1.6a09e6p-1f;
    return 0.5f * (1.0f + erf32(x * kSqrtHalf));
  }
  static AFTUNE_OP float value(float x) { return x * distribution(x); }
  /// Phi(x) + x phi(x)
  static AFTUNE_OP float slope(float x) {
    constexpr float kPeak = 0x1.988454p-2f;  // 1 / sqrt(2 pi)
    return fma32(x * kPeak, exp32((-0.5f * x) * x), distribution(x));
  }
};

/// Their approximation 0.5 x (1 + tanh(u)), u = sqrt(2 / pi) (x + 0.044715 x^3), as x / (1 + e^-2u), which is
/// the same number without cancellation where it is small.
struct GeluTanh {
  static constexpr char kName[] = "gelu-tanh/1";
  static constexpr float kCubic = 0x1.6e4e26p-5f, kTwice = 0x1.988454p+0f;  // 0.044715, 2 sqrt(2 / pi)

  /// 1 + e^-2u
  static AFTUNE_OP float denominator(float x) {
    return 1.0f + exp32(-kTwice * fma32(kCubic * (x * x), x, x));
  }
  static AFTUNE_OP float value(float x) { return x / denominator(x); }
  /// s (1 + x (1 - s) d2u/dx), s = 1 / (1 + e^-2u)
  static AFTUNE_OP float slope(float x) {
    constexpr float kSquare = 0x1.b6676cp-3f;  // 6 sqrt(2 / pi) 0.044715
    const float s = 1.0f / denominator(x);
    return s * fma32(x * (1.0f - s), fma32(kSquare, x * x, kTwice), 1.0f);
  }
};

/// y = f(x), over n elements
template <class Form, class Lanes>
AFTUNE_OP void gelu_elements(Lanes lanes, std::int64_t n, const float* x, float* y) {
  lanes.each(n, [=](std::int64_t i) { y[i] = Form::value(x[i]); });
}

/// dx = dy f'(x)
template <class Form, class Lanes>
AFTUNE_OP void gelu_elements_grad(Lanes lanes, std::int64_t n, const float* x, const float* dy, float* dx) {
  lanes.each(n, [=](std::int64_t i) { dx[i] = dy[i] * Form::slope(x[i]); });
}

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
