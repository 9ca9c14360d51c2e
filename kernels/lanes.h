#pragma once

// The lanes that walk a row. An op's body says what is done at an index and in which shape sums are formed;
// who the lanes are is the target's business: CpuLanes is a loop over 32 lanes, which the compiler turns into
// vector registers, WarpLanes (kernels/cuda/warp_lanes.cuh) is the 32 threads of a warp. Both give the same
// bits.

#include "kernels/target.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

inline constexpr std::int64_t kLanes = 32;
inline constexpr std::int64_t kSumBlock = 1024;

struct CpuLanes {
  /// f(i) for i in [0, n), in any order: iterations must not depend on each other. Index i belongs to lane i
  /// mod 32, which may read back what it wrote there.
  template <class F>
  AFTUNE_OP void each(std::int64_t n, const F& f) const {
    AFTUNE_INDEPENDENT
    for (std::int64_t i = 0; i < n; ++i) f(i);
  }

  /// f(i) for one index, by its lane.
  template <class F>
  AFTUNE_OP void one(std::int64_t i, const F& f) const {
    f(i);
  }

  /// What any lane wrote is seen by all.
  AFTUNE_OP void sync() const {}

  /// rowsum/1: acc = step(acc, i) chains, in blocks of 1024 by index; in a block 32 chains from +0, index i
  /// in chain i mod 32, joined by the tree 16, 8, 4, 2, 1; blocks added in order to +0.
  template <class Step>
  AFTUNE_OP float sum(std::int64_t n, const Step& step) const {
    float total = 0.0f;
    for (std::int64_t first = 0; first < n; first += kSumBlock) {
      float acc[kLanes] = {};
      fold(first, n - first < kSumBlock ? n : first + kSumBlock, acc, step);
      total = total + join(acc, [](float a, float b) { return a + b; });
    }
    return total;
  }

  /// The largest f(i), n >= 1, as +0 if it is a zero; NaN if any f(i) is NaN or infinite.
  template <class F>
  AFTUNE_OP float largest_finite(std::int64_t n, const F& f) const {
    float acc[kLanes];
    for (float& lane : acc) lane = -kInfinity32;
    fold(0, n, acc, [&](float most, std::int64_t i) {
      const float value = f(i);
      const float larger = value > most ? value : most;
      return finite32(value) ? larger : kNan32;
    });
    return join(acc, [](float a, float b) { return a > b || a != a ? a : b; }) + 0.0f;
  }

  /// Columns [0, width): the chain acc = step(acc, t, column) from +0 over t in [0, length), then
  /// finish(column, acc).
  template <class Step, class Finish>
  AFTUNE_OP void chains(std::int64_t width, std::int64_t length, const Step& step,
                        const Finish& finish) const {
    constexpr std::int64_t kTile = 256;
    for (std::int64_t first = 0; first < width; first += kTile) {
      const std::int64_t tile = width - first < kTile ? width - first : kTile;
      float acc[kTile] = {};
      for (std::int64_t t = 0; t < length; ++t) {
        AFTUNE_INDEPENDENT
        for (std::int64_t c = 0; c < tile; ++c) acc[c] = step(acc[c], t, first + c);
      }
      AFTUNE_INDEPENDENT
      for (std::int64_t c = 0; c < tile; ++c) finish(first + c, acc[c]);
    }
  }

 private:
  template <class Step>
  AFTUNE_OP static void fold(std::int64_t first, std::int64_t last, float* acc, const Step& step) {
    std::int64_t i = first;
    for (; i + kLanes <= last; i += kLanes) {
      AFTUNE_INDEPENDENT
      for (std::int64_t lane = 0; lane < kLanes; ++lane) acc[lane] = step(acc[lane], i + lane);
    }
    for (std::int64_t lane = 0; i + lane < last; ++lane) acc[lane] = step(acc[lane], i + lane);
  }

  template <class Join>
  AFTUNE_OP static float join(float* acc, const Join& join_two) {
    for (std::int64_t half = kLanes / 2; half > 0; half /= 2)
      for (std::int64_t lane = 0; lane < half; ++lane) acc[lane] = join_two(acc[lane], acc[lane + half]);
    return acc[0];
  }
};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
