#pragma once

// The operations once more, as plainly as docs/numerics.md words them: the oracle for every instruction set.
// exp and log are taken as given (math_test.cpp checks them); all else is written out here.

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/cpu/rows.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels::plain {

inline float exp(float x) {
  float y;
  row_table(Isa::kScalar).exp32(1, &x, &y);
  return y;
}

inline float log(float x) {
  float y;
  row_table(Isa::kScalar).log32(1, &x, &y);
  return y;
}

inline float erf(float x) {
  float y;
  row_table(Isa::kScalar).erf32(1, &x, &y);
  return y;
}

/// rowsum/1 of terms that step(acc, i) adds.
template <class Step>
float rowsum(std::int64_t n, const Step& step) {
  float total = 0;
  for (std::int64_t block = 0; block < n; block += 1024) {
    float lane[32];
    for (int l = 0; l < 32; ++l) {
      lane[l] = 0;
      for (std::int64_t i = block + l; i < block + 1024 && i < n; i += 32) lane[l] = step(lane[l], i);
    }
    for (const int distance : {16, 8, 4, 2, 1}) {
      float next[32];
      for (int l = 0; l < 32; ++l) next[l] = lane[l] + lane[l ^ distance];
      for (int l = 0; l < 32; ++l) lane[l] = next[l];
    }
    total = total + lane[0];
  }
  return total;
}

inline Floats rmsnorm(std::int64_t h, float eps, const Floats& x, const Floats& w, Floats& inv_rms) {
  Floats y(x.size());
  for (std::size_t r = 0; r < inv_rms.size(); ++r) {
    const float* row = x.data() + static_cast<std::int64_t>(r) * h;
    const float sum = rowsum(h, [&](float acc, std::int64_t i) { return std::fma(row[i], row[i], acc); });
    inv_rms[r] = 1.0f / std::sqrt(sum / static_cast<float>(h) + eps);
    for (std::int64_t i = 0; i < h; ++i) {
      const float scaled = row[i] * inv_rms[r];
      y[r * static_cast<std::size_t>(h) + static_cast<std::size_t>(i)] =
          scaled * w[static_cast<std::size_t>(i)];
    }
  }
  return y;
}

inline void rmsnorm_grad_input(std::int64_t h, const float* x, const float* w, float inv, const float* dy,
                               float* dx, bool add) {
  const float dot =
      rowsum(h, [&](float acc, std::int64_t i) { return std::fma(w[i] * dy[i], x[i] * inv, acc); });
  const float mean = dot / static_cast<float>(h);
  for (std::int64_t i = 0; i < h; ++i) {
    const float normed = x[i] * inv;
    const float grad = inv * std::fma(-normed, mean, w[i] * dy[i]);
    dx[i] = add ? dx[i] + grad : grad;
  }
}

inline Floats layernorm(std::int64_t h, float eps, const Floats& x, const Floats& w, const Floats& b,
                        Floats& mean, Floats& inv) {
  Floats y(x.size());
  for (std::size_t r = 0; r < inv.size(); ++r) {
    const auto at = r * static_cast<std::size_t>(h);
    const float* row = x.data() + at;
    const float sum = rowsum(h, [&](float acc, std::int64_t i) { return acc + row[i]; });
    mean[r] = sum / static_cast<float>(h);
    const float squares = rowsum(h, [&](float acc, std::int64_t i) {
      const float off = row[i] - mean[r];
      return std::fma(off, off, acc);
    });
    inv[r] = 1.0f / std::sqrt(squares / static_cast<float>(h) + eps);
    for (std::size_t i = 0; i < w.size(); ++i) y[at + i] = std::fma((row[i] - mean[r]) * inv[r], w[i], b[i]);
  }
  return y;
}

inline void layernorm_grad_input(std::int64_t h, const float* x, const float* w, float mean, float inv,
                                 const float* dy, float* dx, bool add) {
  const float sum = rowsum(h, [&](float acc, std::int64_t i) { return std::fma(w[i], dy[i], acc); });
  const float dot =
      rowsum(h, [&](float acc, std::int64_t i) { return std::fma(w[i] * dy[i], (x[i] - mean) * inv, acc); });
  const float shift = sum / static_cast<float>(h), slope = dot / static_cast<float>(h);
  for (std::int64_t i = 0; i < h; ++i) {
    const float normed = (x[i] - mean) * inv;
    const float grad = inv * std::fma(-normed, slope, w[i] * dy[i] - shift);
    dx[i] = add ? dx[i] + grad : grad;
  }
}

struct GeluResult {
  float value, slope;
};
inline GeluResult gelu(GeluForm form, float x) {
  if (form == GeluForm::kErf) {
    const float phi = 0.5f * (1.0f + erf(x * 0x1.6a09e6p-1f));
    return {x * phi, std::fma(x * 0x1.988454p-2f, exp((-0.5f * x) * x), phi)};
  }
  const float cubed = std::fma(0x1.6e4e26p-5f * (x * x), x, x);
  const float denominator = 1.0f + exp(-0x1.988454p+0f * cubed);
  const float s = 1.0f / denominator;
  const float twice = std::fma(0x1.b6676cp-3f, x * x, 0x1.988454p+0f);
  return {x / denominator, s * std::fma(x * (1.0f - s), twice, 1.0f)};
}

inline void swiglu_grad(float gate, float up, float dy, float& dgate, float& dup) {
  const float denominator = 1.0f + exp(-gate);
  const float s = 1.0f / denominator;
  const float slope = s * std::fma(gate, 1.0f - s, 1.0f);
  dgate = (dy * up) * slope;
  dup = dy * (gate / denominator);
}

inline float cross_entropy(std::int64_t vocab, std::int32_t label, float inv_predicted, bool grad,
                           float* logits) {
  float most = logits[0];
  for (std::int64_t i = 1; i < vocab; ++i)
    if (logits[i] > most) most = logits[i];
  most += 0.0f;
  const float at_label = logits[label];
  const float sum = rowsum(vocab, [&](float acc, std::int64_t i) { return acc + exp(logits[i] - most); });
  if (grad)
    for (std::int64_t i = 0; i < vocab; ++i) {
      const float p = exp(logits[i] - most) / sum;
      logits[i] = (p - (i == label ? 1.0f : 0.0f)) * inv_predicted;
    }
  return (most - at_label) + log(sum);
}

}  // namespace aftune::kernels::plain
