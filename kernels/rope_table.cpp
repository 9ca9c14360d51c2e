// The RoPE tables, computed on the host and the same for every target.

#include <vector>

#include "kernels/math64.h"
#include "kernels/ops.h"

namespace aftune::kernels {
namespace {

/// Llama 3's stretching of long wavelengths, with the roundings of the reference implementation in PyTorch,
/// where a scalar divided by a tensor is the scalar times the tensor's reciprocal.
float stretch(const RopeParameters& p, float inv_freq) {
  constexpr float kTwoPi = 0x1.921fb6p+2f;
  const auto original = static_cast<float>(p.original_max_position);
  const auto low_wavelength =
      static_cast<float>(static_cast<double>(p.original_max_position) / p.low_freq_factor);
  const auto high_wavelength =
      static_cast<float>(static_cast<double>(p.original_max_position) / p.high_freq_factor);
  const auto factor = static_cast<float>(p.factor);
  const float wavelength = (1.0f / inv_freq) * kTwoPi;
  if (wavelength > low_wavelength) return inv_freq / factor;
  if (wavelength < high_wavelength) return inv_freq;
  const float smooth = ((1.0f / wavelength) * original - static_cast<float>(p.low_freq_factor)) /
                       static_cast<float>(p.high_freq_factor - p.low_freq_factor);
  return ((1.0f - smooth) * inv_freq) / factor + smooth * inv_freq;
}

}  // namespace

void rope_frequencies(const RopeParameters& parameters, float* inv_freq) {
  for (std::int64_t i = 0; i < parameters.head_dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(parameters.head_dim);
    const float plain = 1.0f / static_cast<float>(pow64(parameters.theta, static_cast<double>(exponent)));
    inv_freq[i] = parameters.llama3 ? stretch(parameters, plain) : plain;
  }
}

void rope_table(const RopeParameters& parameters, std::int64_t max_position, float* cos, float* sin) {
  const std::int64_t half = parameters.head_dim / 2;
  std::vector<float> inv_freq(static_cast<std::size_t>(half));
  rope_frequencies(parameters, inv_freq.data());
  for (std::int64_t position = 0; position < max_position; ++position)
    for (std::int64_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(position) * inv_freq[static_cast<std::size_t>(i)];
      const portable::SinCos64 turn = portable::sincos_pair(static_cast<double>(angle));
      cos[position * half + i] = static_cast<float>(turn.cos);
      sin[position * half + i] = static_cast<float>(turn.sin);
    }
}

}  // namespace aftune::kernels
