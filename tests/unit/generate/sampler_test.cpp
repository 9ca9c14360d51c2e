#include "generate/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace aftune::generate {
namespace {

using Logits = std::vector<float>;

std::int32_t first(const Sampling& sampling, const Logits& logits, std::int64_t choice = 0) {
  return Sampler(sampling, choice, {}).next(logits);
}

// How often each id is the first of `draws` seeds.
std::vector<int> counts(Sampling sampling, const Logits& logits, int draws = 4000) {
  std::vector<int> counted(logits.size());
  for (int i = 0; i < draws; ++i) {
    sampling.seed = static_cast<std::uint64_t>(i);
    ++counted[static_cast<std::size_t>(first(sampling, logits))];
  }
  return counted;
}

TEST(Sampler, TemperatureZeroTakesTheLargestAndOfEqualsTheLowestId) {
  EXPECT_EQ(first({.temperature = 0}, {1, 3, 2, 3}), 1);
  EXPECT_EQ(first({.temperature = 0}, {0, 0, 0}), 0);
}

TEST(Sampler, DrawsBySoftmax) {
  const Logits logits{0, std::log(2.0f), std::log(5.0f)};
  const std::vector<int> counted = counts({}, logits);
  for (const auto& [id, p] : {std::pair{0, 1 / 8.0}, {1, 2 / 8.0}, {2, 5 / 8.0}})
    EXPECT_NEAR(counted[static_cast<std::size_t>(id)], 4000 * p, 4 * std::sqrt(4000 * p * (1 - p)));
  // At half the temperature the odds are squared.
  const std::vector<int> cold = counts({.temperature = 0.5}, logits);
  EXPECT_NEAR(cold[2], 4000 * 25 / 30.0, 4 * std::sqrt(4000 * 5 / 36.0));
}

// A large vocabulary is sorted by digits, unless there is a top_k: one that keeps all changes nothing.
TEST(Sampler, LargeVocabulariesAreSortedAlike) {
  for (const std::size_t vocab : {511u, 512u, 513u, 5000u})
    for (const float step : {0.0f, 0.5f, 1e-3f, 1e-30f}) {
      Logits logits(vocab);
      for (std::size_t i = 0; i < vocab; ++i) {
        const auto mixed = static_cast<std::int32_t>(i * 2654435761u % 97) - 48;
        logits[i] = i % 5 == 0 ? -0.0f : step * static_cast<float>(mixed);
      }
      for (const double temperature : {0.3, 1.0, 7.0})
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
          const Sampling all{.temperature = temperature, .presence_penalty = 0.25, .seed = seed};
          Sampling kept = all;
          kept.top_k = static_cast<std::int64_t>(vocab);
          ASSERT_EQ(first(all, logits), first(kept, logits)) << vocab << ' ' << step << ' ' << seed;
        }
    }
}

TEST(Sampler, TopKTopPAndMinPLeaveTheLikeliest) {
  const Logits logits{0, 3, 1, 2};  // e^z: 1, 20.1, 2.7, 7.4; of 31.2
  const auto drawn = [&](const Sampling& sampling) {
    const std::vector<int> counted = counts(sampling, logits, 500);
    std::vector<int> ids;
    for (std::size_t id = 0; id < counted.size(); ++id)
      if (counted[id] > 0) ids.push_back(static_cast<int>(id));
    return ids;
  };
  EXPECT_EQ(drawn({}), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(drawn({.top_k = 1}), (std::vector<int>{1}));
  EXPECT_EQ(drawn({.top_k = 2}), (std::vector<int>{1, 3}));
  EXPECT_EQ(drawn({.top_k = 9}), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(drawn({.top_p = 0.6}), (std::vector<int>{1}));
  EXPECT_EQ(drawn({.top_p = 0.7}), (std::vector<int>{1, 3}));
  EXPECT_EQ(drawn({.top_p = 1e-9}), (std::vector<int>{1}));
  EXPECT_EQ(drawn({.min_p = 0.3}), (std::vector<int>{1, 3}));
  EXPECT_EQ(drawn({.min_p = 1}), (std::vector<int>{1}));
  EXPECT_EQ(drawn({.top_k = 3, .top_p = 0.99, .min_p = 0.1}), (std::vector<int>{1, 2, 3}));
}

TEST(Sampler, OfEqualLogitsTheLowestIdsAreKept) {
  const std::vector<int> counted = counts({.top_k = 2}, {1, 1, 1, 1}, 200);
  EXPECT_GT(counted[0], 0);
  EXPECT_GT(counted[1], 0);
  EXPECT_EQ(counted[2] + counted[3], 0);
}

TEST(Sampler, PenaltiesAndBiasShiftLogits) {
  const Logits logits{2, 1.5f, -1};
  const std::int32_t prompt[] = {0};
  EXPECT_EQ(Sampler({.temperature = 0, .repetition_penalty = 2}, 0, prompt).next(logits), 1);
  // A negative logit is multiplied.
  EXPECT_EQ(Sampler({.temperature = 0, .repetition_penalty = 0.25}, 0, std::vector<std::int32_t>{2})
                .next({{-0.5f, -0.4f, -1}}),
            2);
  // The prompt counts for repetition only.
  EXPECT_EQ(
      Sampler({.temperature = 0, .frequency_penalty = 9, .presence_penalty = 9}, 0, prompt).next(logits), 0);
  Sampler frequency({.temperature = 0, .frequency_penalty = 0.3}, 0, {});
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(frequency.next(logits));
  EXPECT_EQ(ids, (std::vector<std::int32_t>{0, 0, 1, 0}));  // 2; 1.7; 1.4 < 1.5; 1.4 > 1.2
  Sampler presence({.temperature = 0, .presence_penalty = 0.6}, 0, {});
  ids.clear();
  for (int i = 0; i < 3; ++i) ids.push_back(presence.next(logits));
  EXPECT_EQ(ids, (std::vector<std::int32_t>{0, 1, 0}));  // 2; 1.5 > 1.4; 1.4 > 0.9
  EXPECT_EQ(first({.temperature = 0, .logit_bias = {{2, 100}}}, logits), 2);
}

TEST(Sampler, EachPositionAndChoiceHasItsOwnNumber) {
  const Logits flat(1000, 0.0f);
  Sampler sampler({.seed = 5}, 0, {});
  const std::int32_t a = sampler.next(flat), b = sampler.next(flat);
  EXPECT_NE(a, b);
  EXPECT_NE(first({.seed = 5}, flat, 1), a);
  EXPECT_EQ(first({.seed = 5}, flat), a);
  // What was taken elsewhere counts as drawn.
  Sampler other({.seed = 5}, 0, {});
  other.take(a);
  EXPECT_EQ(other.next(flat), b);
}

// As tests/independent/sampling.py draws them.
TEST(Sampler, GoldenDraws) {
  Logits logits(50);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>((i * 37) % 11) * 0.5f;
  Sampler sampler({.temperature = 0.8, .top_k = 20, .top_p = 0.95, .min_p = 0.02, .seed = 1234567890123}, 2,
                  {});
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(sampler.next(logits));
  EXPECT_EQ(ids, (std::vector<std::int32_t>{46, 30, 5, 30, 13, 2, 30, 46}));
}

TEST(Sampler, RefusesWhatIsNoNumber) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(first({}, {0, nan}), Error);
  EXPECT_THROW(first({.temperature = 0}, {0, std::numeric_limits<float>::infinity()}), Error);
}

// At the ends of what is allowed every weight is still a number.
TEST(Sampler, TheLargestLogitsAndSettingsGiveATokenOfTheBest) {
  const float large = std::numeric_limits<float>::max();
  Sampling extreme{.temperature = 1e-6,
                   .repetition_penalty = 1e-6,
                   .frequency_penalty = -1e6,
                   .presence_penalty = -1e6,
                   .logit_bias = {{1, 1e6}}};
  EXPECT_NO_THROW(check(extreme, 3));
  const std::int32_t prompt[] = {2};
  EXPECT_EQ(Sampler(extreme, 0, prompt).next({{-large, large, large}}), 2);
}

TEST(Sampling, IsChecked) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NO_THROW(check({}, 4));
  EXPECT_NO_THROW(check({.logit_bias = {{3, -100}}}, 4));
  for (const Sampling& bad :
       {Sampling{.temperature = -1}, Sampling{.temperature = nan}, Sampling{.temperature = 1e-300},
        Sampling{.repetition_penalty = 1e7}, Sampling{.logit_bias = {{0, 1e300}}}, Sampling{.top_k = -1},
        Sampling{.top_p = 0}, Sampling{.top_p = 1.1}, Sampling{.min_p = -0.1}, Sampling{.min_p = 2},
        Sampling{.repetition_penalty = 0}, Sampling{.frequency_penalty = nan},
        Sampling{.presence_penalty = nan}, Sampling{.logit_bias = {{4, 1}}},
        Sampling{.logit_bias = {{-1, 1}}}, Sampling{.logit_bias = {{0, nan}}}})
    EXPECT_THROW(check(bad, 4), Error);
}

TEST(Logprobs, AreOfTheRawLogits) {
  const Logits logits{0, std::log(2.0f), std::log(5.0f), std::log(2.0f)};
  const auto list = logprobs(logits, 0, 3);
  ASSERT_EQ(list.size(), 4u);
  const std::int32_t ids[] = {0, 2, 1, 3};
  const double p[] = {0.1, 0.5, 0.2, 0.2};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(list[i].id, ids[i]);
    EXPECT_NEAR(list[i].logprob, std::log(p[i]), 1e-6);
  }
  EXPECT_EQ(logprobs(logits, 1, 0).size(), 1u);
  EXPECT_EQ(logprobs(logits, 1, 20).size(), 5u);
}

}  // namespace
}  // namespace aftune::generate
