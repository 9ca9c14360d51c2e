#include "data/order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "data/dataset.h"

namespace aftune::data {
namespace {

Json order_vectors() {
  return parse_json(read_file(fs::path(AFTUNE_TESTS_DIR) / "vectors/order/order.json", 1 << 20));
}

TEST(Order, DrawsEqualTheIndependentOnes) {
  int rejections = 0;
  const Json vectors = order_vectors();
  for (const Json& v : vectors.at("draws")) {
    const auto drawn = order_draw(u64_from_hex(v.at("seed").get<std::string>()),
                                  v.at("epoch").get<std::uint64_t>(), v.at("i").get<std::uint32_t>());
    EXPECT_EQ(drawn, v.at("draw").get<std::uint32_t>()) << v;
    rejections += v.at("rejected").get<int>();
  }
  EXPECT_GT(rejections, 0) << "the vectors must reach the rejection";
}

TEST(Order, PermutationsEqualTheIndependentOnes) {
  const Json vectors = order_vectors();
  ASSERT_GE(vectors.at("permutations").size(), 20u);
  for (const Json& v : vectors.at("permutations")) {
    const auto expected = v.at("permutation").get<std::vector<std::int64_t>>();
    EXPECT_EQ(epoch_permutation(u64_from_hex(v.at("seed").get<std::string>()),
                                v.at("epoch").get<std::uint64_t>(), std::ssize(expected)),
              expected)
        << v;
  }
}

TEST(Order, PositionsRunThroughTheEpochsInAnyOrderOfAsking) {
  const Order order(7, 5);
  const std::vector<std::int64_t> expected = {4, 1, 0, 3, 2, 2, 0, 1, 3, 4};
  for (std::int64_t p = 0; p < 10; ++p) EXPECT_EQ(order.row_at(p), expected[static_cast<std::size_t>(p)]);
  for (std::int64_t p = 9; p >= 0; --p) EXPECT_EQ(order.row_at(p), expected[static_cast<std::size_t>(p)]);
}

TEST(Order, EveryEpochIsAPermutation) {
  for (std::int64_t rows : {1, 2, 3, 31, 32, 33, 1000}) {
    auto permutation = epoch_permutation(99, 12, rows);
    std::ranges::sort(permutation);
    for (std::int64_t i = 0; i < rows; ++i) ASSERT_EQ(permutation[static_cast<std::size_t>(i)], i);
  }
}

// All 24 permutations of 4 rows over 24000 epochs: the chi-squared statistic has 23 degrees of freedom and
// stays below 60 except with probability 4e-5; the draw is fixed, so this cannot fail by chance later.
TEST(Order, AllPermutationsAreEquallyLikely) {
  std::map<std::vector<std::int64_t>, int> seen;
  for (std::uint64_t epoch = 0; epoch < 24000; ++epoch) ++seen[epoch_permutation(5, epoch, 4)];
  ASSERT_EQ(seen.size(), 24u);
  double chi_squared = 0;
  for (const auto& [permutation, count] : seen) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000.0;
  EXPECT_LT(chi_squared, 60.0);
}

}  // namespace
}  // namespace aftune::data
