#include "generate/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "base/philox.h"
#include "kernels/ops.h"

namespace aftune::generate {
namespace {

constexpr std::int64_t kMostTopK = std::int64_t{1} << 31;
// Within it no finite logit becomes infinite, so that no weight is NaN.
constexpr double kLargest = 1e6;

void expect(bool holds, const char* what) {
  if (!holds) fail(Fault::kUsage, what);
}

/// 53 random bits in [0, 1).
double uniform(std::uint64_t seed, std::int64_t position, std::int64_t choice) {
  const auto word = [](std::int64_t n) { return static_cast<std::uint32_t>(n); };
  const PhiloxBlock block =
      philox({0, word(position), word(choice), static_cast<std::uint32_t>(Purpose::kSampling) << 16}, seed);
  const std::uint64_t bits = std::uint64_t{block[1]} << 32 | block[0];
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace

void check(const Sampling& s, std::int64_t vocab) {
  expect(s.temperature == 0 || (s.temperature >= 1 / kLargest && s.temperature <= kLargest),
         "temperature is 0 or between 1e-6 and 1e6");
  expect(s.top_k >= 0 && s.top_k < kMostTopK, "top_k is at least 0");
  expect(s.top_p > 0 && s.top_p <= 1, "top_p is more than 0 and at most 1");
  expect(s.min_p >= 0 && s.min_p <= 1, "min_p is between 0 and 1");
  expect(s.repetition_penalty >= 1 / kLargest && s.repetition_penalty <= kLargest,
         "repetition_penalty is between 1e-6 and 1e6");
  expect(std::abs(s.frequency_penalty) <= kLargest, "frequency_penalty is between -1e6 and 1e6");
  expect(std::abs(s.presence_penalty) <= kLargest, "presence_penalty is between -1e6 and 1e6");
  for (const auto& [id, bias] : s.logit_bias) {
    if (id < 0 || id >= vocab) fail(Fault::kUsage, "logit_bias: no token ", id);
    expect(std::abs(bias) <= kLargest, "logit_bias is between -1e6 and 1e6 for each token");
  }
}

Sampler::Sampler(Sampling sampling, std::int64_t choice, std::span<const std::int32_t> prompt)
    : sampling_(std::move(sampling)), choice_(choice) {
  for (const std::int32_t id : prompt) seen_.try_emplace(id, 0);
}

void Sampler::take(std::int32_t token) {
  ++seen_.try_emplace(token, 0).first->second;
  ++position_;
}

std::int32_t Sampler::next(std::span<const float> logits) {
  shift(logits);
  const std::int32_t token = draw();
  take(token);
  return token;
}

// Penalties and bias, in binary64.
void Sampler::shift(std::span<const float> logits) {
  z_.assign(logits.begin(), logits.end());
  bool finite = true;
  for (const double z : z_) finite = finite && std::isfinite(z);
  expect(finite, "non-finite logits");
  const auto known = [&](std::int32_t id) { return id >= 0 && id < std::ssize(z_); };
  for (const auto& [id, count] : seen_) {
    if (!known(id)) continue;
    double& z = z_[static_cast<std::size_t>(id)];
    if (sampling_.repetition_penalty != 1)
      z = z > 0 ? z / sampling_.repetition_penalty : z * sampling_.repetition_penalty;
    if (count == 0) continue;
    z = z - sampling_.frequency_penalty * static_cast<double>(count);
    z = z - sampling_.presence_penalty;
  }
  for (const auto& [id, bias] : sampling_.logit_bias)
    if (known(id)) z_[static_cast<std::size_t>(id)] += bias;
}

bool Sampler::likelier(const Candidate& a, const Candidate& b) {
  return a.z > b.z || (a.z == b.z && a.id < b.id);
}

std::int32_t Sampler::draw() {
  if (sampling_.temperature == 0)
    return static_cast<std::int32_t>(std::max_element(z_.begin(), z_.end()) - z_.begin());
  candidates_.clear();
  for (std::size_t i = 0; i < z_.size(); ++i)
    candidates_.push_back({z_[i] / sampling_.temperature, static_cast<std::int32_t>(i)});
  if (sampling_.top_k > 0 && sampling_.top_k < std::ssize(candidates_)) {
    std::nth_element(candidates_.begin(), candidates_.begin() + sampling_.top_k, candidates_.end(), likelier);
    candidates_.resize(static_cast<std::size_t>(sampling_.top_k));
  }
  sort_likeliest_first();
  // z becomes w = exp(z - the largest).
  const double largest = candidates_.front().z;
  double total = 0;
  for (Candidate& candidate : candidates_) {
    candidate.z = kernels::exp64(candidate.z - largest);
    total += candidate.z;
  }
  double kept = 0;
  std::size_t count = 0;
  while (count < candidates_.size() && (count == 0 || candidates_[count].z >= sampling_.min_p)) {
    kept += candidates_[count++].z;
    if (kept >= sampling_.top_p * total) break;
  }
  const double bound = uniform(sampling_.seed, position_, choice_) * kept;
  double cumulated = 0;
  for (std::size_t i = 0; i + 1 < count; ++i) {
    cumulated += candidates_[i].z;
    if (cumulated > bound) return candidates_[i].id;
  }
  return candidates_[count - 1].id;
}

// Digits of the number whose order is that of z downwards, the least first; each pass keeps the order of
// equals, which is that of ids from the start. A token of a large vocabulary is drawn from a sorted list of
// all of it, and comparing takes several times as long.
void Sampler::sort_likeliest_first() {
  constexpr int kBits = 11, kDigits = 6;
  constexpr std::size_t kValues = std::size_t{1} << kBits;
  if (candidates_.size() < kValues / 4 || sampling_.top_k > 0) {
    std::sort(candidates_.begin(), candidates_.end(), likelier);
    return;
  }
  const auto key = [](double z) {
    const auto bits = std::bit_cast<std::uint64_t>(z + 0.0);  // -0 is 0
    const std::uint64_t upwards = bits ^ (bits >> 63 != 0 ? ~std::uint64_t{0} : std::uint64_t{1} << 63);
    return ~upwards;
  };
  const auto digit = [&](double z, int d) {
    return static_cast<std::size_t>(key(z) >> (d * kBits) & (kValues - 1));
  };
  std::vector<std::uint32_t> counts(kDigits * kValues);
  for (const Candidate& c : candidates_)
    for (int d = 0; d < kDigits; ++d) ++counts[static_cast<std::size_t>(d) * kValues + digit(c.z, d)];
  sorted_.resize(candidates_.size());
  for (int d = 0; d < kDigits; ++d) {
    std::uint32_t* const at = counts.data() + static_cast<std::size_t>(d) * kValues;
    if (at[digit(candidates_.front().z, d)] == candidates_.size()) continue;  // the same in all
    std::uint32_t begin = 0;
    for (std::size_t v = 0; v < kValues; ++v) begin += std::exchange(at[v], begin);
    for (const Candidate& c : candidates_) sorted_[at[digit(c.z, d)]++] = c;
    candidates_.swap(sorted_);
  }
}

std::vector<TokenLogprob> logprobs(std::span<const float> logits, std::int32_t token, int top) {
  const auto likeliest =
      static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  const float largest = logits[static_cast<std::size_t>(likeliest)];
  // The loss of the likeliest is 0 + log(rowsum(exp(z - max))).
  std::vector<float> row(logits.begin(), logits.end());
  float log_sum = 0;
  ThreadPool alone(1);
  kernels::cross_entropy(alone, 1, std::ssize(row), row.data(), &likeliest, 0.0f, false, &log_sum);
  const auto of = [&](std::int32_t id) {
    return TokenLogprob{id, (logits[static_cast<std::size_t>(id)] - largest) - log_sum};
  };
  std::vector<TokenLogprob> list{of(token)};
  std::vector<std::int32_t> ids(logits.size());
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i);
  const auto end = ids.begin() + std::min<std::ptrdiff_t>(top, std::ssize(ids));
  std::partial_sort(ids.begin(), end, ids.end(), [&](std::int32_t a, std::int32_t b) {
    const float za = logits[static_cast<std::size_t>(a)], zb = logits[static_cast<std::size_t>(b)];
    return za > zb || (za == zb && a < b);
  });
  for (auto id = ids.begin(); id != end; ++id) list.push_back(of(*id));
  return list;
}

}  // namespace aftune::generate
