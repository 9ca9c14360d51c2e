// A trained Llama of 260 thousand parameters on real text: loss and every gradient against PyTorch in float64
// (tests/parity/make_llama_fixture.py). The model is not part of this project: the test is registered where
// it is found.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "unit/train/llama_fixture.h"

namespace aftune::train {
namespace {

struct Summary {
  double norm = 0, dot = 0, reversed_dot = 0;
};

double weight(std::int64_t i) {
  return static_cast<double>(static_cast<std::uint32_t>(i) * 2654435761u) / 2147483648.0 - 1.0;
}

Summary summary(const Buffer& gradient) {
  Summary s;
  for (std::int64_t i = 0; i < gradient.size(); ++i) {
    const auto g = static_cast<double>(gradient[i]);
    s.norm += g * g;
    s.dot += g * weight(i);
    s.reversed_dot += g * weight(gradient.size() - 1 - i);
  }
  s.norm = std::sqrt(s.norm);
  return s;
}

TEST(Stories, LossAndGradientsAreTorchs) {
  const fs::path folder = fs::path(AFTUNE_SHARED_DIR) / "models" / "stories260k";
  const Json expected =
      parse_json(read_file(fs::path(AFTUNE_TESTS_DIR) / "vectors" / "llama" / "stories260k.json", 1 << 20));
  ThreadPool pool(2);
  model::EngineOptions options;
  options.config = model::Config::parse(read_file(folder / "config.json", 1 << 20));
  options.recipe.steps = 1;
  options.recipe.seq_len = options.config.max_position;
  options.grid = {
      .layers = options.config.layers, .tied = options.config.tied, .layers_per_block = 2, .steps = 1};
  options.pool = &pool;
  Engine engine(options);
  const model::Checkpoint checkpoint = model::Checkpoint::open(folder);
  for (const auto& block : engine.blocks()) model::load_base(*block, checkpoint);

  const data::Rows rows = LlamaFixture::rows_of(expected["batches"][0]);
  const StepResult result = engine.step(0, 0.0, LlamaFixture::predicted(rows), rows, 2, nullptr);
  const auto loss = expected["losses"][0].get<double>();
  EXPECT_NEAR(result.loss, loss, 1e-6 * loss);
  for (const auto& block : engine.blocks())
    for (const model::Parameter& p : block->parameters()) {
      const Json& e = expected["gradients"][p.spec.name];
      const Summary found = summary(p.gradient);
      const auto norm = e["norm"].get<double>();
      // A product with the fixed vector, whose elements have variance 1/3, is off by about its length times
      // the error.
      const double error = 1e-5 * norm;
      const double product_error = error * std::sqrt(static_cast<double>(p.gradient.size()));
      EXPECT_NEAR(found.norm, norm, error) << p.spec.name;
      EXPECT_NEAR(found.dot, e["dots"][0].get<double>(), product_error) << p.spec.name;
      EXPECT_NEAR(found.reversed_dot, e["dots"][1].get<double>(), product_error) << p.spec.name;
    }
}

}  // namespace
}  // namespace aftune::train
