#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "hash/blake3.h"
#include "model/folder.h"
#include "model/layer_block.h"
#include "scratch.h"

namespace aftune::model {
namespace {

constexpr char kConfig[] = R"({"model_type":"llama","vocab_size":11,"hidden_size":8,"intermediate_size":12,
  "num_hidden_layers":3,"num_attention_heads":2,"num_key_value_heads":1,"tie_word_embeddings":true})";

struct Fixture {
  ThreadPool pool{1};
  EngineOptions options;

  explicit Fixture(bool tied = true) {
    options.config = Config::parse(kConfig);
    options.config.tied = tied;
    options.recipe.steps = 4;
    options.recipe.seq_len = 16;
    options.recipe.seed = 7;
    options.grid = {.layers = 3, .tied = tied, .layers_per_block = 2, .steps = 4, .steps_per_block = 2};
    options.pool = &pool;
  }
  std::unique_ptr<LayerBlock> block(int index) const {
    auto made = make_block(options, index);
    init_parameters(*made, options);
    return made;
  }
};

// Two rows, of 3 and 2 tokens.
data::Rows rows() {
  data::Rows r = data::rows_from_layout({1, 3, 1, 2}, 100);
  r.tokens = {1, 5, 10, 0, 3};
  r.labels = {5, 10, data::kNoLabel, 3, data::kNoLabel};
  return r;
}

Matrix ramp(std::int64_t n, std::int64_t width) {
  Matrix m(n, width);
  for (std::int64_t i = 0; i < m.values.size(); ++i) m.values[i] = static_cast<float>(i % 7) * 0.25f - 0.5f;
  return m;
}

TEST(Block, OwnsTheUnitsOfTheGrid) {
  const Fixture tied, untied(false);
  const auto names = [](LayerBlock& b) {
    std::vector<std::string> list;
    for (const Parameter& p : b.parameters()) list.push_back(p.spec.name);
    return list;
  };
  EXPECT_EQ(names(*make_block(tied.options, 0)),
            (std::vector<std::string>{"model.embed_tokens.weight", "model.norm.weight"}));
  EXPECT_EQ(names(*make_block(untied.options, 3)),
            (std::vector<std::string>{"model.norm.weight", "lm_head.weight"}));
  const auto layers = make_block(tied.options, 1);
  EXPECT_EQ(layers->parameters().size(), 18u);
  ASSERT_EQ(layers->units().size(), 2u);
  EXPECT_EQ(layers->units()[1].unit, 2);
  EXPECT_EQ(layers->units()[1].first, 9u);
  EXPECT_EQ(layers->units()[1].last, 18u);
}

TEST(Block, StateListsParametersAndMomentsInOrder) {
  const Fixture f;
  for (int index = 0; index < f.options.grid.blocks(); ++index) {
    const auto block = f.block(index);
    const record::BlockState state = block->state();
    EXPECT_EQ(state.parameter_specs,
              block_parameter_specs(f.options.config, f.options.grid, f.options.recipe, index));
    EXPECT_EQ(state.moment_specs,
              block_moment_specs(f.options.config, f.options.grid, f.options.recipe, index));
    ASSERT_EQ(state.moments.size(), state.moment_specs.size());
    const auto& parameters = block->parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i)
      EXPECT_EQ(state.parameters[i], hash::blake3(parameters[i].value.bytes()));
    EXPECT_EQ(state.moment_specs[1].name, parameters[0].spec.name + ".exp_avg_sq");
    EXPECT_EQ(state.moments[1], hash::blake3(Buffer::zeros(parameters[0].value.size()).bytes()));
  }
}

TEST(Init, DependsOnNameAndSeedOnly) {
  Fixture f, other(false);
  const auto a = f.block(0), b = other.block(0);
  EXPECT_EQ(a->state().parameters[0], b->state().parameters[0]);
  f.options.recipe.seed = 8;
  EXPECT_NE(f.block(0)->state().parameters[0], a->state().parameters[0]);
}

TEST(Init, IsNormalForMatricesAndOneForNorms) {
  const Fixture f;
  double sum = 0, squares = 0;
  std::int64_t count = 0;
  const auto block = f.block(1);
  for (const Parameter& p : block->parameters())
    for (std::int64_t i = 0; i < p.value.size(); ++i) {
      if (p.spec.shape.size() == 1) {
        EXPECT_EQ(p.value[i], 1.0f);
        continue;
      }
      sum += static_cast<double>(p.value[i]);
      squares += static_cast<double>(p.value[i]) * static_cast<double>(p.value[i]);
      ++count;
    }
  const auto n = static_cast<double>(count);
  EXPECT_NEAR(std::sqrt(squares / n), 0.02, 0.02 * 4 / std::sqrt(2 * n));
  EXPECT_NEAR(sum / n, 0.0, 0.02 * 4 / std::sqrt(n));
}

/// A folder with one file that holds block 0's tensors of the tied fixture, as `dtype`.
void write_base(const fs::path& file, DType dtype, const Shape& norm_shape) {
  Bytes zeros(4 * 88);
  write_safetensors(file,
                    {{"model.embed_tokens.weight", dtype, {11, 8}}, {"model.norm.weight", dtype, norm_shape}},
                    [&](const TensorSpec& s) { return ByteView(zeros).first(byte_size(s)); });
}

TEST(LoadBase, RefusesAnotherModelsTensors) {
  const testing_support::Scratch scratch("base");
  const Fixture f;
  const auto refused = [&](int index, const std::string& part) {
    try {
      load_base(*make_block(f.options, index), Checkpoint::open_file(scratch / "x"));
      FAIL() << "accepted; expected: " << part;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  };
  write_base(scratch / "x", DType::kBF16, {8});
  load_base(*make_block(f.options, 0), Checkpoint::open_file(scratch / "x"));
  refused(1, "has no tensor \"model.layers.0.input_layernorm.weight\"");
  write_base(scratch / "x", DType::kF32, {4, 2});
  refused(0, "model.norm.weight F32 [4, 2]");
  write_base(scratch / "x", DType::kI32, {8});
  refused(0, "is not a float tensor");
}

TEST(Block, SumsMayBeAskedForTwice) {
  const Fixture f;
  const auto block = f.block(0);
  const data::Rows r = rows();
  block->begin_step({.step = 0, .lr = 0.1, .predicted = 3});
  const Matrix in = ramp(5, 8);
  StageOutput embedded = block->forward(0, r, nullptr, true), head = block->forward(3, r, &in, true);
  block->backward(3, r, std::move(head.saved), nullptr);
  block->backward(0, r, std::move(embedded.saved), &in);
  const std::vector<double> once = block->sum_squares();
  EXPECT_EQ(block->sum_squares(), once);
  ASSERT_EQ(once.size(), 2u);
  EXPECT_GT(once[0], 0.0);
  EXPECT_GT(once[1], 0.0);
}

TEST(Block, EvaluationTouchesNoGradient) {
  const Fixture f;
  const auto block = f.block(0);
  const data::Rows r = rows();
  const Matrix in = ramp(5, 8);
  block->begin_step({.step = 0, .lr = 0.1, .predicted = 3});
  const StageOutput out = block->forward(3, r, &in, false);
  EXPECT_EQ(out.row_losses.size(), 2u);
  EXPECT_EQ(out.saved, nullptr);
  EXPECT_EQ(block->sum_squares(), (std::vector<double>{0.0, 0.0}));
}

TEST(Block, ARowThatPredictsNothingHasNoLoss) {
  const Fixture f;
  const auto block = f.block(0);
  data::Rows r = rows();
  r.labels[0] = r.labels[1] = data::kNoLabel;
  const Matrix in = ramp(5, 8);
  block->begin_step({.step = 0, .lr = 0.1, .predicted = 1});
  StageOutput out = block->forward(3, r, &in, true);
  EXPECT_EQ(out.row_losses[0], 0.0);
  EXPECT_GT(out.row_losses[1], 0.0);
  const Matrix gradient = block->backward(3, r, std::move(out.saved), nullptr);
  for (std::int64_t t = 0; t < 5; ++t)
    for (std::int64_t c = 0; c < 8; ++c) EXPECT_EQ(gradient.row(t)[c] != 0.0f, t == 3) << t;
}

/// The message with which a step ends if `spoil` is applied to the layers' block, its input or its output
/// gradient.
std::string failure(const std::function<void(LayerBlock&, Matrix&, Matrix&)>& spoil) {
  const Fixture f;
  const auto block = f.block(1);
  const data::Rows r = rows();
  Matrix in = ramp(5, 8), gradient = ramp(5, 8);
  spoil(*block, in, gradient);
  block->begin_step({.step = 3, .lr = 0.1, .predicted = 3});
  StageOutput out = block->forward(1, r, &in, true);
  block->backward(1, r, std::move(out.saved), &gradient);
  try {
    block->sum_squares();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kUsage);
    return e.what();
  }
  return "";
}

TEST(Block, ANonFiniteValueAnywhereFailsTheStep) {
  EXPECT_EQ(failure([](LayerBlock&, Matrix&, Matrix&) {}), "");
  constexpr float kInf = std::numeric_limits<float>::infinity(),
                  kNan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {kInf, -kInf, kNan})
    for (const std::int64_t at : {std::int64_t{0}, std::int64_t{21}, std::int64_t{39}}) {
      const auto has = [](const std::string& text) {
        return text.find("step 3, block 1: non-finite gradient of layer") != std::string::npos;
      };
      EXPECT_TRUE(has(failure([&](LayerBlock&, Matrix& in, Matrix&) { in.values[at] = bad; }))) << bad << at;
      EXPECT_TRUE(has(failure([&](LayerBlock&, Matrix&, Matrix& g) { g.values[at] = bad; }))) << bad << at;
      for (std::size_t p = 0; p < 18; ++p)
        EXPECT_TRUE(has(failure([&](LayerBlock& b, Matrix&, Matrix&) {
          Buffer& value = b.parameters()[p].value;
          value[at % value.size()] = bad;
        }))) << p
             << ' ' << bad << ' ' << at;
    }
}

TEST(Block, ANonFiniteUpdateFailsTheStep) {
  const Fixture f;
  const auto block = f.block(1);
  block->begin_step({.step = 2, .lr = 5e37, .predicted = 3});
  block->parameters()[4].gradient[0] = 1.0f;
  EXPECT_THROW(
      {
        try {
          block->parameters()[4].value[0] = -3.4e38f;
          block->update(1.0f);
        } catch (const Error& e) {
          EXPECT_NE(std::string(e.what()).find("non-finite update of model.layers.0.self_attn.o_proj.weight"),
                    std::string::npos);
          throw;
        }
      },
      Error);
}

using BlockDeathTest = testing::Test;

TEST(BlockDeathTest, IndicesBeyondATableStopTheProgram) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const Fixture f;
  const auto block = f.block(0);
  const Matrix in = ramp(5, 8);
  data::Rows r = rows();
  r.tokens[2] = 11;
  EXPECT_DEATH(block->forward(0, r, nullptr, false), "ids");
  r = rows();
  r.labels[2] = 11;
  EXPECT_DEATH(block->forward(3, r, &in, false), "labels");
}

}  // namespace
}  // namespace aftune::model
