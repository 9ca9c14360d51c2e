// The promise the audit rests on: a block alone, given the boundaries of a run, does what it did in the run.
#include <gtest/gtest.h>

#include <tuple>

#include "llama_fixture.h"

namespace aftune::train {
namespace {

/// Keeps all boundaries of a step that was run in one micro-batch.
class Keeper : public StepObserver {
 public:
  explicit Keeper(const record::Grid& grid)
      : activations(static_cast<std::size_t>(grid.boundaries())),
        gradients(static_cast<std::size_t>(grid.boundaries())) {}
  void activation(int boundary, const Matrix& rows) override { keep(activations, boundary, rows); }
  void gradient(int boundary, const Matrix& rows) override { keep(gradients, boundary, rows); }

  std::vector<Matrix> activations, gradients;

 private:
  static void keep(std::vector<Matrix>& list, int boundary, const Matrix& rows) {
    Matrix& kept = list[static_cast<std::size_t>(boundary)];
    ASSERT_EQ(kept.rows, 0) << "boundary " << boundary << " was seen twice";
    kept.rows = rows.rows;
    kept.cols = rows.cols;
    kept.values = rows.values.clone();
  }
};

bool same(const Matrix& a, const Matrix& b) {
  return a.rows == b.rows && a.cols == b.cols && std::memcmp(a.data(), b.data(), a.bytes().size()) == 0;
}

/// Runs one step of `block` from the kept boundaries, and compares what it hands on with them.
void replay(model::LayerBlock& block, const record::Grid& grid, const data::Rows& rows, const Keeper& kept) {
  const std::vector<int> stages = grid.stages_of_block(block.index());
  std::vector<std::unique_ptr<model::Saved>> saved;
  const auto at = [](const std::vector<Matrix>& list, int boundary) -> const Matrix& {
    return list[static_cast<std::size_t>(boundary)];
  };
  for (const int stage : stages) {
    auto out = block.forward(stage, rows, stage == 0 ? nullptr : &at(kept.activations, stage - 1), true);
    if (stage + 1 < grid.stages()) {
      EXPECT_TRUE(same(out.out, at(kept.activations, stage))) << "activation " << stage;
    }
    saved.push_back(std::move(out.saved));
  }
  for (std::size_t i = stages.size(); i-- > 0;) {
    const int stage = stages[i];
    const Matrix* out = stage + 1 == grid.stages() ? nullptr : &at(kept.gradients, stage);
    const Matrix in = block.backward(stage, rows, std::move(saved[i]), out);
    if (stage > 0) {
      EXPECT_TRUE(same(in, at(kept.gradients, stage - 1))) << "gradient " << stage - 1;
    }
  }
}

class BlockReplay : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(BlockReplay, EqualsTheRun) {
  const LlamaFixture fixture(std::get<0>(GetParam()));
  ThreadPool pool(2), other_pool(1);
  model::EngineOptions options = fixture.options(pool), other = fixture.options(other_pool, 1, true);
  options.profile = other.profile = *kernels::profile_from_name(std::get<1>(GetParam()));
  Engine engine(options);
  fixture.load(engine);
  Engine alone(other);  // its blocks are used one by one
  fixture.load(alone);
  const record::Grid& grid = engine.options().grid;
  for (std::int64_t t = 0; t < 2; ++t) {
    const data::Rows rows = fixture.rows(t);
    const std::int64_t predicted = LlamaFixture::predicted(rows);
    Keeper kept(grid);
    const StepResult result = engine.step(t, 1e-3, predicted, rows, rows.rows(), &kept);
    for (const auto& block : alone.blocks()) {
      block->begin_step({t, 1e-3, predicted});
      replay(*block, grid, rows, kept);
      const std::vector<double> sums = block->sum_squares();
      for (std::size_t i = 0; i < sums.size(); ++i)
        EXPECT_EQ(sums[i], result.unit_sums[static_cast<std::size_t>(block->units()[i].unit)]);
      block->update(result.clip);
      const record::BlockState mine = block->state(),
                               theirs = engine.blocks()[static_cast<std::size_t>(block->index())]->state();
      EXPECT_EQ(mine.parameters, theirs.parameters);
      EXPECT_EQ(mine.moments, theirs.moments);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, BlockReplay,
                         testing::Combine(testing::Values("tied", "grouped", "packed", "sgd"),
                                          testing::Values("f32", "i14")));

}  // namespace
}  // namespace aftune::train
