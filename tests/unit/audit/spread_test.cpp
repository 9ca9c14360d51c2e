#include "audit/spread.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace aftune::audit {
namespace {

using Floats = std::vector<float>;

/// [2, 3], all 10, with replays that are off by `distances`, element by element.
Spread of_replays(const std::vector<Floats>& distances) {
  Spread spread({2, 3});
  spread.set(0, Floats{10, 10, 10});
  spread.set(3, Floats{10, 10, 10});
  for (const Floats& replay : distances) {
    Floats values;
    for (const float d : replay) values.push_back(10 + d);
    spread.add(0, std::span<const float>(values).first(2));
    spread.add(2, std::span<const float>(values).subspan(2));
    spread.end_replay();
  }
  return spread;
}

TEST(Spread, WithoutAnyOnlyTheSameValueHolds) {
  const Spread spread = of_replays({Floats(6), Floats(6)});
  Tolerances tolerances;
  EXPECT_FALSE(spread.too_loose(tolerances));
  EXPECT_FALSE(spread.difference(Floats(6, 10), tolerances));
  EXPECT_EQ(tolerances.worst, 0);
  Floats other(6, 10);
  other[4] = std::nextafter(10.0f, 11.0f);
  const auto difference = spread.difference(other, tolerances);
  ASSERT_TRUE(difference.has_value());
  EXPECT_EQ(difference->find("element [1,1]: off by "), 0u) << *difference;
  EXPECT_GT(tolerances.worst, 1);
}

// The largest distance there, and the root mean square of the row's over both replays.
TEST(Spread, AnElementsToleranceIsOfItAndItsRow) {
  const Spread spread = of_replays({{0.5f, 0, 0, 0, 0, 0}, {-0.25f, 0, 0.5f, 0, 0, 0}});
  const double row = std::sqrt((0.25 + 0.0625 + 0.25) / 6);
  EXPECT_DOUBLE_EQ(spread.tolerance(0), 3 * (0.5 + row));
  EXPECT_DOUBLE_EQ(spread.tolerance(1), 3 * row);
  EXPECT_EQ(spread.tolerance(3), 0);
  Tolerances tolerances;
  EXPECT_FALSE(spread.difference(Floats{11.5f, 10.25f, 11, 10, 10, 10}, tolerances));
  EXPECT_TRUE(tolerances.worst > 0.5 && tolerances.worst < 1);
  EXPECT_TRUE(spread.difference(Floats{13, 10, 10, 10, 10, 10}, tolerances));
  EXPECT_TRUE(spread.difference(Floats{10, 10, 10, 10.0625f, 10, 10}, tolerances));
  // Scaled with what it is a tolerance of.
  const std::vector<double> distances = {1.0, 0, 0, 0, 0, 0};
  EXPECT_FALSE(spread.difference(distances, 1.0, tolerances));
  EXPECT_TRUE(spread.difference(distances, 0.25, tolerances));
}

TEST(Spread, AllElementsTogetherMayBeOffByLess) {
  const std::int64_t n = 100;
  Spread spread({n});
  spread.set(0, Floats(n, 10));
  spread.add(0, Floats(n, 10.25f));
  spread.end_replay();
  EXPECT_DOUBLE_EQ(spread.tolerance(), 0.5);
  EXPECT_DOUBLE_EQ(spread.tolerance(7), 1.5);
  Tolerances tolerances;
  EXPECT_FALSE(spread.difference(Floats(n, 10.4375f), tolerances));
  Floats one(n, 10);
  one[3] = 11.25f;
  EXPECT_FALSE(spread.difference(one, tolerances));
  const auto difference = spread.difference(Floats(n, 10.75f), tolerances);
  ASSERT_TRUE(difference.has_value());
  EXPECT_EQ(difference->find("all elements: off by 0.75"), 0u) << *difference;
}

TEST(Spread, NothingThatIsNotFiniteHolds) {
  const float bad[] = {HUGE_VALF, -HUGE_VALF, NAN};
  for (const float b : bad) {
    const Spread spread = of_replays({Floats(6, 0.25f)});
    Tolerances tolerances;
    EXPECT_TRUE(spread.difference(Floats{10, b, 10, 10, 10, 10}, tolerances)) << b;
    // Nor is anything within the tolerance that such a replay leaves.
    const Spread broken = of_replays({Floats{0, b, 0, 0, 0, 0}});
    EXPECT_TRUE(broken.too_loose(tolerances)) << b;
    EXPECT_TRUE(broken.difference(Floats{10, 10.5f, 10, 10, 10, 10}, tolerances)) << b;
    EXPECT_FALSE(tolerances.holds(0.5, Spread::tolerance_of(std::vector<double>{0.5, b})));
    EXPECT_FALSE(tolerances.holds(b, 1.0));
    EXPECT_TRUE(std::isfinite(tolerances.worst));
  }
}

TEST(Spread, IsTooLooseWhereItIsHalfOfWhatItIsOf) {
  Tolerances tolerances;
  EXPECT_FALSE(of_replays({Floats(6, 2)}).too_loose(tolerances));
  EXPECT_DOUBLE_EQ(tolerances.loosest, 0.4);
  EXPECT_TRUE(of_replays({Floats(6, 3)}).too_loose(tolerances));
  Spread zeros({4});
  EXPECT_FALSE(zeros.too_loose(tolerances));
  zeros.add(0, Floats{0, 0x1p-140f, 0, 0});
  zeros.end_replay();
  EXPECT_TRUE(zeros.too_loose(tolerances));
}

TEST(Spread, OfANumberIsThatOfATensorOfOne) {
  Spread spread({1});
  spread.set(0, Floats{10});
  for (const float v : {10.5f, 9.75f}) {
    spread.add(0, Floats{v});
    spread.end_replay();
  }
  EXPECT_DOUBLE_EQ(spread.tolerance(0), Spread::tolerance_of(std::vector<double>{0.5, 0.25}));
}

}  // namespace
}  // namespace aftune::audit
