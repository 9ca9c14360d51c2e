#pragma once

#include "kernels/lanes.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// The lanes of one warp; every thread of it must call together. See CpuLanes for what each function means.
struct WarpLanes {
  static constexpr unsigned kAll = 0xffffffffu;

  AFTUNE_OP static std::int64_t lane() { return threadIdx.x % kLanes; }

  template <class F>
  AFTUNE_OP void each(std::int64_t n, const F& f) const {
    for (std::int64_t i = lane(); i < n; i += kLanes) f(i);
  }

  template <class F>
  AFTUNE_OP void one(std::int64_t i, const F& f) const {
    if (i % kLanes == lane()) f(i);
  }

  AFTUNE_OP void sync() const { __syncwarp(); }

  template <class Step>
  AFTUNE_OP float sum(std::int64_t n, const Step& step) const {
    float total = 0.0f;
    for (std::int64_t first = 0; first < n; first += kSumBlock) {
      const std::int64_t last = n - first < kSumBlock ? n : first + kSumBlock;
      float acc = 0.0f;
      for (std::int64_t i = first + lane(); i < last; i += kLanes) acc = step(acc, i);
      total = total + sum_of_lanes(acc);
    }
    return total;
  }

  template <class F>
  AFTUNE_OP float largest_finite(std::int64_t n, const F& f) const {
    float most = -kInfinity32;
    for (std::int64_t i = lane(); i < n; i += kLanes) {
      most = larger_finite(most, f(i));
    }
    return largest_of_lanes(most);
  }

  /// The step of largest_finite.
  AFTUNE_OP static float larger_finite(float most, float value) {
    const float larger = value > most ? value : most;
    return finite32(value) ? larger : kNan32;
  }

  template <class Step, class Finish>
  AFTUNE_OP void chains(std::int64_t width, std::int64_t length, const Step& step,
                        const Finish& finish) const {
    for (std::int64_t c = lane(); c < width; c += kLanes) {
      float acc = 0.0f;
      for (std::int64_t t = 0; t < length; ++t) acc = step(acc, t, c);
      finish(c, acc);
    }
  }

  /// One value of all lanes' by the tree 16, 8, 4, 2, 1, in every lane: both lanes of a pair join the same
  /// two values in the same order.
  template <class T, class Join>
  AFTUNE_OP static T join(T value, const Join& join_two) {
    for (int distance = kLanes / 2; distance > 0; distance /= 2) {
      const T other = __shfl_xor_sync(kAll, value, distance);
      value = (lane() & distance) == 0 ? join_two(value, other) : join_two(other, value);
    }
    return value;
  }

  AFTUNE_OP static float sum_of_lanes(float value) {
    return join(value, [](float a, float b) { return a + b; });
  }
  /// As largest_finite's last step: NaN if any lane's is.
  AFTUNE_OP static float largest_of_lanes(float value) {
    return join(value, [](float a, float b) { return a > b || a != a ? a : b; }) + 0.0f;
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
