#include "train/engine.h"

#include <gtest/gtest.h>

#include <cmath>

#include "llama_fixture.h"

namespace aftune::train {
namespace {

TEST(MeanLoss, AddsRowsInBinary64) {
  EXPECT_EQ(mean_loss({1.0, 2.0, 4.0}, 2), 3.5f);
  EXPECT_EQ(mean_loss({1e16, 1.0, -1e16}, 1), 0.0f);  // in order: the 1 is lost
}

TEST(DefaultMicroBatch, IsAboutTwoThousandTokens) {
  EXPECT_EQ(default_micro_batch(data::rows_from_layout({1, 256, 1, 100}, 1000)), 8);
  EXPECT_EQ(default_micro_batch(data::rows_from_layout({1, 5000}, 10000)), 1);
  EXPECT_EQ(default_micro_batch(data::rows_from_layout({1, 256, 1, 100}, 1000), 1024), 4);
}

float loss_moved(Engine& engine, const data::Rows& rows, model::Parameter& p, const Buffer& direction,
                 float amount) {
  const Buffer before = p.value.clone();
  for (std::int64_t i = 0; i < p.value.size(); ++i) p.value[i] += amount * direction[i];
  const float loss = engine.evaluate(rows, rows.rows());
  std::memcpy(p.value.data(), before.data(), before.bytes().size());
  return loss;
}

/// Along the gradient itself the loss must rise at the rate of the gradient's norm. Richardson's combination
/// of two step sizes leaves the rounding of f32 losses as the error.
TEST(Gradients, AgreeWithDifferencesOfTheLoss) {
  for (const char* name : {"grouped", "packed"}) {
    const LlamaFixture fixture(name);
    ThreadPool pool(1);
    Engine engine(fixture.options(pool));
    fixture.load(engine);
    const data::Rows rows = fixture.rows(1);
    engine.step(0, 0.0, LlamaFixture::predicted(rows), rows, rows.rows(), nullptr);  // lr 0: nothing moves
    for (const auto& block : engine.blocks())
      for (model::Parameter& p : block->parameters()) {
        double norm = 0;
        for (std::int64_t i = 0; i < p.gradient.size(); ++i)
          norm += static_cast<double>(p.gradient[i]) * static_cast<double>(p.gradient[i]);
        norm = std::sqrt(norm);
        Buffer direction(p.gradient.size());
        for (std::int64_t i = 0; i < direction.size(); ++i)
          direction[i] = p.gradient[i] / static_cast<float>(norm);
        const auto rate = [&](float h) {
          return (static_cast<double>(loss_moved(engine, rows, p, direction, h)) -
                  static_cast<double>(loss_moved(engine, rows, p, direction, -h))) /
                 (2.0 * static_cast<double>(h));
        };
        constexpr float kStep = 0.015625f;
        const double slope = (4.0 * rate(kStep) - rate(2 * kStep)) / 3.0;
        EXPECT_NEAR(slope, norm, 2e-3 * norm + 3e-5) << name << ' ' << p.spec.name;
      }
  }
}

TEST(Evaluation, RefusesALossThatIsNotFinite) {
  const LlamaFixture fixture("tied");
  ThreadPool pool(1);
  Engine engine(fixture.options(pool));
  fixture.load(engine);
  engine.blocks()[1]->parameters()[1].value[3] = std::nanf("");
  EXPECT_THROW(engine.evaluate(fixture.rows(0), 1), Error);
}

TEST(Engine, AMicroBatchMayBeLargerThanTheBatch) {
  const LlamaFixture fixture("tied");
  ThreadPool pool(1);
  Engine engine(fixture.options(pool));
  fixture.load(engine);
  const data::Rows rows = fixture.rows(0);
  const float loss = engine.evaluate(rows, 1);
  EXPECT_EQ(engine.evaluate(rows, std::numeric_limits<std::int64_t>::max()), loss);
}

}  // namespace
}  // namespace aftune::train
