#include "generate/decoder.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <tuple>

#include "base/error.h"
#include "kernels/i14.h"
#include "kernels/ops.h"

namespace aftune::generate {
namespace {

constexpr char kLlama[] = R"({"model_type":"llama","vocab_size":61,"hidden_size":48,"intermediate_size":80,
  "num_hidden_layers":3,"num_attention_heads":6,"num_key_value_heads":2,"max_position_embeddings":64})";
constexpr char kGpt2[] =
    R"({"model_type":"gpt2","vocab_size":61,"n_embd":48,"n_layer":3,"n_head":6,"n_positions":64})";

using Ids = std::vector<std::int32_t>;

Ids random_ids(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  Ids ids(count);
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % 61);
  return ids;
}

model::EngineOptions options_for(ThreadPool& pool, const kernels::Profile& profile, bool tied,
                                 const char* config) {
  model::EngineOptions options;
  options.config = model::Config::parse(config);
  options.config.tied = tied;
  options.grid = {.layers = 3, .tied = tied, .layers_per_block = 2, .steps = 1, .steps_per_block = 1};
  options.profile = profile;
  options.pool = &pool;
  return options;
}

Decoder decoder_for(ThreadPool& pool, const kernels::Profile& profile, bool tied, const char* config) {
  Decoder decoder(options_for(pool, profile, tied, config));
  for (const auto& block : decoder.blocks()) model::init_parameters(*block, decoder.options());
  return decoder;
}

// The floats of a sequence at every boundary and its last logits, however it was run.
struct Passed {
  std::vector<std::vector<float>> boundaries = std::vector<std::vector<float>>(3);
  std::vector<float> logits;
  friend bool operator==(const Passed& a, const Passed& b) {
    const auto same = [](const std::vector<float>& x, const std::vector<float>& y) {
      return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
    };
    for (std::size_t i = 0; i < a.boundaries.size(); ++i)
      if (!same(a.boundaries[i], b.boundaries[i])) return false;
    return same(a.logits, b.logits);
  }
};

// Runs all sequences side by side; `piece(sequence, call)` says how many tokens it gives in a call, 0 for
// none.
template <class Piece>
std::vector<Passed> run_all(Decoder& decoder, const std::vector<Ids>& texts, const Piece& piece) {
  std::vector<Passed> runs(texts.size());
  std::vector<Sequence> sequences;
  for (std::size_t i = 0; i < texts.size(); ++i) sequences.push_back(decoder.begin());
  for (int call = 0;; ++call) {
    std::vector<Decoder::Feed> feeds;
    std::vector<std::size_t> of;
    bool all_done = true;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto done = static_cast<std::size_t>(sequences[i].length());
      all_done = all_done && done == texts[i].size();
      const std::size_t count = std::min(texts[i].size() - done, static_cast<std::size_t>(piece(i, call)));
      if (count == 0) continue;
      feeds.push_back(
          {&sequences[i], std::span(texts[i]).subspan(done, count), done + count == texts[i].size()});
      of.push_back(i);
    }
    if (all_done) return runs;
    if (feeds.empty()) continue;
    const Matrix logits = decoder.run(feeds, [&](int boundary, const data::Rows& rows, const Matrix& x) {
      for (std::size_t f = 0; f < of.size(); ++f) {
        auto& to = runs[of[f]].boundaries[static_cast<std::size_t>(boundary)];
        to.insert(to.end(), x.row(rows.doc_starts[f]), x.row(rows.doc_starts[f + 1]));
      }
    });
    std::int64_t row = 0;
    for (std::size_t f = 0; f < of.size(); ++f)
      if (feeds[f].wants_logits) {
        runs[of[f]].logits.assign(logits.row(row), logits.row(row + 1));
        ++row;
      }
  }
}

std::vector<Ids> texts() {
  std::vector<Ids> list;
  for (const std::size_t length : {1, 2, 7, 33, 64, 20}) list.push_back(random_ids(length, 7));
  return list;
}

class DecoderTest : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  static Decoder decoder(ThreadPool& pool, bool tied) {
    return decoder_for(pool, *kernels::profile_from_name(std::get<0>(GetParam())), tied,
                       std::get<1>(GetParam()));
  }
};
INSTANTIATE_TEST_SUITE_P(Profiles, DecoderTest,
                         testing::Combine(testing::Values("f32", "i14"), testing::Values(kLlama, kGpt2)));

TEST_P(DecoderTest, NeitherCutsNorCompanyNorThreadsDecideABit) {
  for (const bool tied : {true, false}) {
    ThreadPool one(1), three(3);
    Decoder alone_decoder = decoder(one, tied), threaded = decoder(three, tied);
    const std::vector<Ids> list = texts();
    std::vector<Passed> alone;
    for (const Ids& ids : list)
      alone.push_back(run_all(alone_decoder, {ids}, [](auto, int) { return 64; })[0]);
    for (Decoder* d : {&alone_decoder, &threaded}) {
      EXPECT_EQ(run_all(*d, list, [](auto, int) { return 64; }), alone);
      EXPECT_EQ(run_all(*d, list, [](auto, int) { return 1; }), alone);
      EXPECT_EQ(run_all(*d, list, [](auto i, int call) { return call < static_cast<int>(i) ? 0 : 5; }),
                alone);
      // Some decode while others are still at their prompts.
      EXPECT_EQ(
          run_all(*d, list, [](auto i, int call) { return (static_cast<int>(i) + call) % 3 == 0 ? 13 : 1; }),
          alone);
    }
  }
}

// The same blocks as training's: boundaries are those of a forward pass, logits have its losses.
TEST_P(DecoderTest, IsTheForwardPassOfTraining) {
  ThreadPool pool(2);
  Decoder whole = decoder(pool, true);
  const std::vector<Ids> list = texts();
  data::Rows rows = data::rows_from_layout({1, 33}, 100);
  rows.tokens = list[3];
  rows.labels = Ids(33, data::kNoLabel);
  rows.labels.back() = 17;
  const Passed run = run_all(whole, {list[3]}, [](auto, int) { return 10; })[0];
  Matrix x;
  for (int stage = 0; stage < 3; ++stage) {
    x = std::move(whole.blocks()[static_cast<std::size_t>(stage)]
                      ->forward(stage, rows, stage == 0 ? nullptr : &x, false)
                      .out);
    const auto& boundary = run.boundaries[static_cast<std::size_t>(stage)];
    ASSERT_EQ(std::ssize(boundary), x.values.size());
    EXPECT_EQ(std::memcmp(boundary.data(), x.data(), boundary.size() * sizeof(float)), 0) << stage;
  }
  const double loss = whole.blocks()[0]->forward(3, rows, &x, false).row_losses.at(0);
  std::vector<float> logits = run.logits;
  const std::int32_t label = 17;
  float own = 0;
  kernels::cross_entropy(pool, 1, std::ssize(logits), logits.data(), &label, 0.0f, false, &own);
  EXPECT_EQ(static_cast<double>(own), loss);
}

TEST(Decoder, RefusesMorePositionsThanTheModelHas) {
  ThreadPool pool(1);
  Decoder decoder = decoder_for(pool, {}, true, kGpt2);
  Sequence sequence = decoder.begin();
  const Ids ids = random_ids(65, 1);
  EXPECT_THROW(decoder.run({{{&sequence, ids}}}), Error);
  EXPECT_EQ(sequence.length(), 0);
}

}  // namespace
}  // namespace aftune::generate
