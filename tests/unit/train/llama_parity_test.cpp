// Our Llama and its relatives against PyTorch's in float64, on committed tiny models
// (tests/parity/make_llama_fixture.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/i14.h"
#include "llama_fixture.h"
#include "optim/optimizer.h"

namespace aftune::train {
namespace {

double norm(const Buffer& a) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * a[i];
  return std::sqrt(sum);
}

double distance(const Buffer& a, const Buffer& b) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - b[i];
    sum += d * d;
  }
  return std::sqrt(sum);
}

/// Elements of a tensor whose true gradient is not 0. Softmax does not see a bias of keys that no RoPE turns:
/// what AdamW makes of its gradient, which is rounding, is not compared.
Buffer learnt(const std::string& name, Buffer values) {
  if (!name.ends_with("attn.c_attn.bias")) return values;
  const std::int64_t third = values.size() / 3;
  std::fill_n(values.data() + third, third, 0.0f);
  return values;
}

class LlamaParity : public testing::TestWithParam<const char*> {
 protected:
  LlamaParity() : fixture(GetParam()), pool(2), engine(fixture.options(pool)) { fixture.load(engine); }

  StepResult step(std::int64_t t) {
    const data::Rows rows = fixture.rows(t);
    return engine.step(t, optim::learning_rate(fixture.recipe, t), LlamaFixture::predicted(rows), rows,
                       rows.rows(), nullptr);
  }

  LlamaFixture fixture;
  ThreadPool pool;
  Engine engine;
};

TEST_P(LlamaParity, GradientsOfTheFirstStep) {
  step(0);
  for (const auto& block : engine.blocks())
    for (const model::Parameter& p : block->parameters()) {
      const Buffer expected = fixture.tensor("grad/" + p.spec.name);
      EXPECT_LE(distance(p.gradient, expected), 1e-5 * norm(expected)) << p.spec.name;
    }
}

TEST_P(LlamaParity, LossesAndWeightsOfTwentySteps) {
  std::vector<Buffer> initial;
  for (const auto& block : engine.blocks())
    for (const model::Parameter& p : block->parameters()) initial.push_back(p.value.clone());
  for (std::int64_t t = 0; t < fixture.recipe.steps; ++t) {
    const double bound = t == 0 ? 1e-6 : 1e-5;
    const double expected = fixture.losses[static_cast<std::size_t>(t)];
    EXPECT_NEAR(step(t).loss, expected, bound * expected) << "step " << t;
  }
  std::size_t i = 0;
  for (const auto& block : engine.blocks())
    for (const model::Parameter& p : block->parameters()) {
      const Buffer expected = learnt(p.spec.name, fixture.tensor("wn/" + p.spec.name));
      float largest = 0;
      for (std::int64_t j = 0; j < expected.size(); ++j) largest = std::max(largest, std::fabs(expected[j]));
      const double ulp = std::ldexp(1.0, std::ilogb(largest) - 23);
      // Rounding of the weights themselves: half an ulp a step, as a random walk.
      const double rounding =
          0.5 * std::sqrt(static_cast<double>(expected.size() * fixture.recipe.steps)) * ulp;
      const Buffer found = learnt(p.spec.name, p.value.clone());
      const Buffer before = learnt(p.spec.name, std::move(initial[i]));
      EXPECT_LE(distance(found, expected), std::max(1e-3 * distance(expected, before), rounding))
          << p.spec.name;
      ++i;
    }
}

// Between TF32 and f32: what docs/numerics.products.md says of the products holds for what they add up to.
TEST_P(LlamaParity, I14IsNear) {
  model::EngineOptions options = fixture.options(pool);
  options.profile = {kernels::kDefaultI14Group};
  Engine exact(options);
  fixture.load(exact);
  const data::Rows rows = fixture.rows(0);
  const StepResult result = exact.step(0, 1e-3, LlamaFixture::predicted(rows), rows, rows.rows(), nullptr);
  EXPECT_NEAR(result.loss, fixture.losses[0], 2e-4 * fixture.losses[0]);
  for (const auto& block : exact.blocks())
    for (const model::Parameter& p : block->parameters()) {
      const Buffer expected = fixture.tensor("grad/" + p.spec.name);
      const double error = distance(p.gradient, expected);
      EXPECT_LE(error, 1e-2 * norm(expected)) << p.spec.name;
      EXPECT_GT(error, 0) << p.spec.name;
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, LlamaParity,
                         testing::Values("tied", "grouped", "packed", "sgd", "mistral", "qwen2", "qwen3",
                                         "gpt2"));

}  // namespace
}  // namespace aftune::train
