#include "audit/planning.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <cmath>

#include "base/error.h"

namespace aftune::audit {
namespace {

TEST(CellsFor, IsTheSmallestNumberThatFindsTheAttacker) {
  for (const std::int64_t total : {1, 7, 48, 1000})
    for (const double tampered : {0.0, 0.02, 0.3, 1.0})
      for (const double confidence : {0.1, 0.9, 0.999}) {
        const std::int64_t n = cells_for(confidence, tampered, total);
        Plan plan;
        const record::Grid grid{
            .layers = 1, .tied = false, .layers_per_block = 1, .steps = total, .steps_per_block = 1};
        plan.uniform = n;
        const std::int64_t bad = std::max<std::int64_t>(
            1, static_cast<std::int64_t>(std::ceil(tampered * static_cast<double>(total))));
        EXPECT_GE(detection_probability(total, bad, n), confidence);
        if (n > 0) {
          EXPECT_LT(detection_probability(total, bad, n - 1), confidence);
        }
        EXPECT_EQ(odds_of(plan, grid, tampered).total, 3 * total);
      }
}

TEST(CellsFor, WithoutATotalIsEnoughForEveryTotal) {
  const std::int64_t n = cells_for(0.99, 0.05, std::nullopt);
  EXPECT_EQ(n, 90);
  for (const std::int64_t total : {20, 90, 91, 200, 5000, 1000000}) {
    const auto bad = static_cast<std::int64_t>(std::ceil(0.05 * static_cast<double>(total)));
    EXPECT_GE(detection_probability(total, bad, n), 0.99) << total;
  }
  EXPECT_THROW(cells_for(0.99, 0, std::nullopt), Error);
  EXPECT_EQ(cells_for(0.99, 1, std::nullopt), 1);
}

TEST(OddsOf, CountsTheUniformDrawOnly) {
  const record::Grid grid{
      .layers = 4, .tied = true, .layers_per_block = 2, .steps = 10, .steps_per_block = 3};
  Plan plan;
  plan.inputs = 100;
  EXPECT_EQ(odds_of(plan, grid, 0.5).detection, 0);
  plan.uniform = 6;
  const Odds odds = odds_of(plan, grid, 0);
  EXPECT_EQ(odds.total, 12);
  EXPECT_EQ(odds.bad, 1);
  EXPECT_EQ(odds.one_cell, 0.5);
  EXPECT_EQ(odds.one_column, detection_probability(12, 4, 6));
  plan.all = true;
  EXPECT_EQ(odds_of(plan, grid, 0).detection, 1);
}

}  // namespace
}  // namespace aftune::audit
