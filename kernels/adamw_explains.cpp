#include "kernels/adamw_explains.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/adamw.h"

namespace aftune::kernels {
namespace {

using portable::AdamWUpdate;

// Beyond this no gradient of a finite m is looked for: g - m must not overflow.
constexpr float kMost = 0x1p126f;

// Floats in order, as integers in order: -0 and +0 are neighbours.
std::int32_t ordinal(float x) {
  const auto bits = std::bit_cast<std::int32_t>(x);
  return bits >= 0 ? bits : std::int32_t{-1} - (bits & 0x7fffffff);
}
float from_ordinal(std::int32_t i) {
  return std::bit_cast<float>(i >= 0 ? static_cast<std::uint32_t>(i)
                                     : 0x80000000u | static_cast<std::uint32_t>(-1 - i));
}

/// A range of floats; empty if least is above most.
struct Range {
  float least, most;
  bool empty() const { return least > most; }
};

/// The x in [least, most] for which f, which never falls, gives `value`, to the bit.
template <class F>
Range solve(float least, float most, float value, const F& f) {
  // The first x for which holds(x), which stays true once it is; past the end if there is none.
  const auto first = [&](const auto& holds) {
    std::int64_t low = ordinal(least), high = std::int64_t{ordinal(most)} + 1;
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      if (holds(f(from_ordinal(static_cast<std::int32_t>(middle)))))
        high = middle;
      else
        low = middle + 1;
    }
    return low;
  };
  const std::int32_t wanted = ordinal(value);
  const std::int64_t begin = first([=](float y) { return ordinal(y) >= wanted; });
  const std::int64_t end = first([=](float y) { return ordinal(y) > wanted; });
  if (begin >= end) return {1.0f, -1.0f};
  return {from_ordinal(static_cast<std::int32_t>(begin)), from_ordinal(static_cast<std::int32_t>(end - 1))};
}

double distance(const Range& range, double g) {
  return std::max({0.0, range.least - g, g - range.most});
}

}  // namespace

std::optional<double> adamw_explains(const AdamW& op, const AdamWElement& before, const AdamWElement& after,
                                     float gradient) {
  const AdamWUpdate update{op};
  if (std::fabs(before.m) > kMost || std::fabs(after.m) > kMost) return std::nullopt;
  // -0 and +0 are two results: the bits decide.
  if (std::bit_cast<std::uint32_t>(update.moved(before.p, after.m, after.v)) !=
      std::bit_cast<std::uint32_t>(after.p))
    return std::nullopt;
  const Range by_m = solve(-kMost, kMost, after.m, [&](float g) { return update.first_moment(g, before.m); });
  const Range by_v = solve(0.0f, kMost, after.v, [&](float g) { return update.second_moment(g, before.v); });
  if (by_m.empty() || by_v.empty()) return std::nullopt;
  const double g = double{gradient * op.clip};
  std::optional<double> nearest;
  for (const Range& side : {by_v, Range{-by_v.most, -by_v.least}}) {
    const Range both{std::max(by_m.least, side.least), std::min(by_m.most, side.most)};
    if (!both.empty()) nearest = std::min(nearest.value_or(HUGE_VAL), distance(both, g));
  }
  return nearest;
}

}  // namespace aftune::kernels
