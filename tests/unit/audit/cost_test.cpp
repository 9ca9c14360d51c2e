#include "audit/cost.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

record::Manifest manifest(bool tied) {
  record::Manifest m;
  m.config = cat(R"({"model_type":"llama","vocab_size":10,"hidden_size":4,"intermediate_size":6,)",
                 R"("num_hidden_layers":3,"num_attention_heads":2,"num_key_value_heads":1,)",
                 R"("tie_word_embeddings":)", tied ? "true" : "false", "}");
  m.recipe.batch_size = 2;
  m.recipe.seq_len = 5;
  m.recipe.steps = 7;
  m.grid = {.layers = 3, .tied = tied, .layers_per_block = 2, .steps = 7, .steps_per_block = 3};
  return m;
}

// By hand: heads of two dimensions. A layer has 16 + 8 + 8 + 16 weights of attention, 72 of the MLP and 8 of
// norms; a step has 2 * 5 positions, a position sees three on average.
constexpr double kProducts = 2 * (48 + 72), kAttention = 2 * 2 * 4 * 3;
constexpr double kLayer = 48 + 72 + 8;

TEST(CostModel, CountsWhatACellTakes) {
  const CostModel model(manifest(false));
  const Cost layers = model.of(Cell{1, 0});  // two layers, three steps
  EXPECT_EQ(layers.flop, 3 * (10 * 3 * 2 * (kProducts + kAttention) + 14 * 2 * kLayer));
  EXPECT_EQ(layers.state_bytes, 3 * 4 * 2 * kLayer);
  EXPECT_EQ(layers.bytes, layers.state_bytes + 30 * 2 * 4 * 4);  // activations in, gradients in
  const Cost embed = model.of(Cell{0, 0});
  EXPECT_EQ(embed.flop, 3 * 14 * 40);
  EXPECT_EQ(embed.bytes, 3 * 4 * 40 + 30 * (16 + 4));
  const Cost head = model.of(Cell{3, 2});  // the last step block has one step
  EXPECT_EQ(head.flop, 10 * 3 * 2 * 40 + 14 * 44);
  EXPECT_EQ(head.bytes, 3 * 4 * 44 + 10 * (16 + 4));
  EXPECT_EQ(model.of(std::vector<Cell>{{1, 0}, {0, 0}}).flop, layers.flop + embed.flop);
}

TEST(CostModel, ATiedBlockHasBothEnds) {
  const Cost tied = CostModel(manifest(true)).of(Cell{0, 0});
  EXPECT_EQ(tied.flop, 3 * (10 * 3 * 2 * 40 + 14 * 44));
  EXPECT_EQ(tied.bytes, 3 * 4 * 44 + 30 * 2 * (16 + 4));
}

// 48 + 16 weights of attention, 48 of the MLP, their biases and those of the norms; five positions are
// learnt.
TEST(CostModel, OfGpt2) {
  record::Manifest m = manifest(true);
  m.config = R"({"model_type":"gpt2","vocab_size":10,"n_embd":4,"n_inner":6,"n_layer":3,"n_head":2,)"
             R"("n_positions":5})";
  const CostModel model(m);
  const Cost layers = model.of(Cell{1, 0});
  constexpr double kOwn = 112 + 12 + 4 + 6 + 4 + 16;
  EXPECT_EQ(layers.flop, 3 * (10 * 3 * 2 * (2 * 112 + kAttention) + 14 * 2 * kOwn));
  EXPECT_EQ(layers.state_bytes, 3 * 4 * 2 * kOwn);
  EXPECT_EQ(model.of(Cell{0, 0}).flop, 3 * (10 * 3 * 2 * 40 + 14 * (40 + 20 + 8)));
}

TEST(CostModel, ExpectsTheMeanOverSeeds) {
  for (const bool tied : {false, true}) {
    const record::Manifest m = manifest(tied);
    const CostModel model(m);
    Challenge challenge;
    challenge.note =
        "audit.example/acme/00\n7\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n"
        "\xE2\x80\x94 audit.example/acme " +
        std::string(91, 'A') + "=\n";
    challenge.plan = {.uniform = 3, .inputs = 1, .objective = 2, .ends = 1};
    constexpr int kSeeds = 20000;
    Cost sum;
    for (int i = 0; i < kSeeds; ++i) {
      challenge.seed = hash::blake3(cat("cost ", i)).bytes;
      const Cost cost = model.of(draw_cells(challenge, m.grid));
      sum.cells += cost.cells;
      sum.flop += cost.flop;
      sum.bytes += cost.bytes;
    }
    const Cost expected = model.expected(challenge.plan);
    EXPECT_NEAR(sum.cells / kSeeds, expected.cells, 0.01 * expected.cells);
    EXPECT_NEAR(sum.flop / kSeeds, expected.flop, 0.01 * expected.flop);
    EXPECT_NEAR(sum.bytes / kSeeds, expected.bytes, 0.01 * expected.bytes);
    EXPECT_EQ(model.expected({.all = true}).cells, static_cast<double>(m.grid.cells()));
  }
}

TEST(CostModel, IsOfTheGridThatTheConfigGives) {
  record::Manifest m = manifest(false);
  m.grid.layers = 4;
  EXPECT_THROW(CostModel{m}, Error);
  m.config = "{}";
  EXPECT_THROW(CostModel{m}, Error);
}

}  // namespace
}  // namespace aftune::audit
