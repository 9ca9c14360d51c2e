#include <algorithm>

#include "audit/challenge.h"
#include "base/error.h"

namespace aftune::audit {

// P(miss) = C(total - bad, sampled) / C(total, sampled), which is symmetric in bad and sampled: the product
// runs over the smaller one. The probability of a hit is summed rather than taken as 1 - P(miss), so that one
// bad cell gives sampled / total to the last bit.
double detection_probability(std::int64_t total, std::int64_t bad, std::int64_t sampled) {
  AFTUNE_CHECK(total >= 0);
  bad = std::clamp<std::int64_t>(bad, 0, total);
  sampled = std::clamp<std::int64_t>(sampled, 0, total);
  const std::int64_t draws = std::min(bad, sampled);
  const std::int64_t hits = std::max(bad, sampled);
  if (draws > total - hits) return 1;
  double miss = 1;
  double hit = 0;
  // Below kNothing nothing more is added; a subnormal would be multiplied by 3/4 for ever and stay.
  constexpr double kNothing = 1e-300;
  for (std::int64_t i = 0; i < draws && miss > kNothing; ++i) {
    const auto left = static_cast<double>(total - i);
    hit += miss * (static_cast<double>(hits) / left);
    miss *= static_cast<double>(total - hits - i) / left;
  }
  return std::min(hit, 1.0);
}

std::int64_t sample_size(std::int64_t total, std::int64_t bad, double confidence) {
  std::int64_t low = 0;
  std::int64_t high = total;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (detection_probability(total, bad, middle) >= confidence)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

}  // namespace aftune::audit
