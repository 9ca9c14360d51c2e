#include "record/grid.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <string>

namespace aftune::record {
namespace {

// The grid again, by writing the run out: units are dealt to stages one by one, leaves to the log one by one.
struct Oracle {
  std::vector<std::vector<int>> units_of_stage;
  std::vector<std::int64_t> step_leaf, state_leaf;
  std::int64_t final_leaf = 0, size = 0;

  explicit Oracle(const Grid& g) {
    units_of_stage.push_back({0});
    for (int layer = 0; layer < g.layers; ++layer) {
      if (layer % g.layers_per_block == 0) units_of_stage.emplace_back();
      units_of_stage.back().push_back(layer + 1);
    }
    units_of_stage.push_back({g.layers + 1});
    std::int64_t leaf = 1;  // the manifest is leaf 0
    for (std::int64_t t = 0; t < g.steps; ++t) {
      if (t % g.steps_per_block == 0) state_leaf.push_back(leaf++);
      step_leaf.push_back(leaf++);
    }
    state_leaf.push_back(leaf++);
    final_leaf = leaf++;
    size = leaf;
  }
};

void expect_leaves(const Grid& g, const Oracle& oracle) {
  ASSERT_EQ(g.step_blocks() + 1, static_cast<std::int64_t>(oracle.state_leaf.size()));
  for (std::int64_t t = 0; t < g.steps; ++t) {
    EXPECT_EQ(g.step_leaf(t), oracle.step_leaf[t]) << t;
    const std::int64_t s = g.step_block_of(t);
    EXPECT_TRUE(g.step_begin(s) <= t && t < g.step_end(s)) << t;
  }
  for (std::int64_t s = 0; s <= g.step_blocks(); ++s) EXPECT_EQ(g.state_leaf(s), oracle.state_leaf[s]) << s;
  for (std::int64_t leaf = -1; leaf <= oracle.size; ++leaf) {
    const auto step = std::find(oracle.step_leaf.begin(), oracle.step_leaf.end(), leaf);
    const auto state = std::find(oracle.state_leaf.begin(), oracle.state_leaf.end(), leaf);
    EXPECT_EQ(g.step_of_leaf(leaf).value_or(-1),
              step == oracle.step_leaf.end() ? -1 : step - oracle.step_leaf.begin());
    EXPECT_EQ(g.state_of_leaf(leaf).value_or(-1),
              state == oracle.state_leaf.end() ? -1 : state - oracle.state_leaf.begin());
  }
  EXPECT_EQ(g.step_end(g.step_blocks() - 1), g.steps);
  EXPECT_EQ(g.final_leaf(), oracle.final_leaf);
  EXPECT_EQ(g.log_size(), oracle.size);
}

void expect_stages(const Grid& g, const Oracle& oracle) {
  ASSERT_EQ(g.stages(), static_cast<int>(oracle.units_of_stage.size()));
  EXPECT_EQ(g.boundaries(), g.stages() - 1);
  for (int stage = 0; stage < g.stages(); ++stage) {
    const std::vector<int>& units = oracle.units_of_stage[static_cast<std::size_t>(stage)];
    EXPECT_EQ(g.units_of_stage(stage).first, units.front());
    EXPECT_EQ(g.units_of_stage(stage).last, units.back() + 1);
    for (const int unit : units) EXPECT_EQ(g.block_of_unit(unit), g.block_of_stage(stage));
  }
}

void expect_blocks(const Grid& g, const Oracle& oracle) {
  std::vector<int> seen(static_cast<std::size_t>(g.units()), 0);
  int stages = 0;
  for (int block = 0; block < g.blocks(); ++block) {
    std::vector<int> units;
    for (const int stage : g.stages_of_block(block)) {
      EXPECT_EQ(g.block_of_stage(stage), block);
      const auto& more = oracle.units_of_stage[static_cast<std::size_t>(stage)];
      units.insert(units.end(), more.begin(), more.end());
      ++stages;
    }
    EXPECT_EQ(g.units_of_block(block), units);
    for (const int unit : units) ++seen[static_cast<std::size_t>(unit)];
  }
  EXPECT_EQ(stages, g.stages());
  for (const int count : seen) EXPECT_EQ(count, 1);
  EXPECT_EQ(g.cells(), g.blocks() * g.step_blocks());
}

TEST(Grid, EqualsTheRunWrittenOut) {
  for (const bool tied : {false, true})
    for (int layers = 1; layers <= 13; ++layers)
      for (int per_block = 1; per_block <= layers + 1; ++per_block)
        for (std::int64_t steps = 1; steps <= 20; ++steps)
          for (std::int64_t steps_per_block = 1; steps_per_block <= steps + 1; ++steps_per_block) {
            SCOPED_TRACE(testing::Message() << "layers " << layers << " tied " << tied << " B_L " << per_block
                                            << " T " << steps << " B_S " << steps_per_block);
            const Grid g{layers, tied, per_block, steps, steps_per_block};
            const Oracle oracle(g);
            expect_leaves(g, oracle);
            if (steps == 1) expect_stages(g, oracle), expect_blocks(g, oracle);
            if (testing::Test::HasFailure()) return;
          }
}

TEST(Grid, TiedHeadBelongsToBlockZero) {
  const Grid g{.layers = 5, .tied = true, .layers_per_block = 2, .steps = 10, .steps_per_block = 4};
  EXPECT_EQ(g.stages(), 5);
  EXPECT_EQ(g.blocks(), 4);
  EXPECT_EQ(g.stages_of_block(0), (std::vector<int>{0, 4}));
  EXPECT_EQ(g.units_of_block(0), (std::vector<int>{0, 6}));
  EXPECT_EQ(g.units_of_block(3), (std::vector<int>{5}));
  EXPECT_EQ(g.block_of_unit(6), 0);
}

TEST(Grid, UntiedHeadIsTheLastBlock) {
  const Grid g{.layers = 5, .tied = false, .layers_per_block = 2, .steps = 10, .steps_per_block = 4};
  EXPECT_EQ(g.blocks(), 5);
  EXPECT_EQ(g.units_of_block(0), (std::vector<int>{0}));
  EXPECT_EQ(g.units_of_block(4), (std::vector<int>{6}));
  EXPECT_EQ(g.cells(), 15);
}

TEST(Grid, LeafIndicesOfALongRunDoNotOverflow) {
  const std::int64_t steps = std::int64_t{1} << 50;
  const Grid g{.layers = 80, .tied = false, .layers_per_block = 1, .steps = steps, .steps_per_block = 8};
  EXPECT_EQ(g.log_size(), 3 + steps + steps / 8);
  EXPECT_EQ(g.step_leaf(steps - 1), g.state_leaf(g.step_blocks()) - 1);
}

TEST(Grid, OneBlockMayHoldEveryLayer) {
  const Grid g{.layers = 7, .tied = false, .layers_per_block = 2147483647, .steps = 1, .steps_per_block = 1};
  EXPECT_EQ(g.units_of_stage(1).last, 8);
}

}  // namespace
}  // namespace aftune::record
