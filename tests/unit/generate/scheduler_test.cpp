#include "generate/scheduler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "base/sanitizers.h"
#include "hash/blake3.h"
#include "kernels/i14.h"

namespace aftune::generate {
namespace {

// The small tokenizer has 505 ids, the model a few more.
constexpr char kConfig[] = R"({"model_type":"llama","vocab_size":512,"hidden_size":48,"intermediate_size":80,
  "num_hidden_layers":3,"num_attention_heads":6,"num_key_value_heads":2,"max_position_embeddings":96})";
constexpr std::int32_t kPoison = 511;  // a prompt with it has no finite logits

using Ids = std::vector<std::int32_t>;

const tokenizer::Tokenizer& words() {
  static const auto made =
      tokenizer::Tokenizer::read(fs::path(AFTUNE_TESTS_DIR) / "vectors/tokenizer/gpt2-prefix/tokenizer.json");
  return made;
}

/// A small model of random weights on a pool of its own.
struct Model {
  explicit Model(int threads, bool i14 = false, bool tied = true)
      : pool(threads), decoder(options(i14, tied)) {
    for (const auto& block : decoder.blocks()) model::init_parameters(*block, decoder.options());
    model::Parameter& table = decoder.blocks()[0]->parameters()[0];
    if (!tied) table.value[kPoison * 48] = std::numeric_limits<float>::infinity();
  }
  model::EngineOptions options(bool i14, bool tied) {
    model::EngineOptions options;
    options.config = model::Config::parse(kConfig);
    options.config.tied = tied;
    // Larger than a model begins with, so that what is likely depends on what was said.
    options.config.initializer_range = 0.3;
    options.grid = {.layers = 3, .tied = tied, .layers_per_block = 2, .steps = 1, .steps_per_block = 1};
    if (i14) options.profile = {kernels::kDefaultI14Group};
    options.pool = &pool;
    return options;
  }
  ThreadPool pool;
  Decoder decoder;
};

/// What a listener heard of one answer.
struct Heard {
  Ids tokens;
  std::string text;
  std::size_t logprobs = 0;
  std::optional<Outcome> outcome;

  Scheduler::Listener listener() {
    return [this](const Event& event) {
      EXPECT_FALSE(outcome) << "an event after the end";
      text += event.text;
      if (event.token) tokens.push_back(*event.token);
      if (event.logprobs) ++logprobs;
      if (event.outcome) outcome = std::move(*event.outcome);
    };
  }
};

void expect_same(const Heard& a, const Heard& b) {
  ASSERT_TRUE(a.outcome && b.outcome);
  EXPECT_EQ(a.outcome->how, b.outcome->how);
  EXPECT_EQ(a.outcome->error, b.outcome->error);
  EXPECT_EQ(a.outcome->answer.tokens, b.outcome->answer.tokens);
  EXPECT_EQ(a.outcome->answer.text, b.outcome->answer.text);
  EXPECT_EQ(a.outcome->answer.finish, b.outcome->answer.finish);
  EXPECT_EQ(a.outcome->boundaries, b.outcome->boundaries);
  const auto& left = a.outcome->answer.logprobs;
  const auto& right = b.outcome->answer.logprobs;
  ASSERT_EQ(left.size(), right.size());
  for (std::size_t i = 0; i < left.size(); ++i)
    EXPECT_TRUE(std::equal(
        left[i].begin(), left[i].end(), right[i].begin(), right[i].end(),
        [](const TokenLogprob& x, const TokenLogprob& y) { return x.id == y.id && x.logprob == y.logprob; }));
}

void expect_told_whole(const Heard& heard) {
  ASSERT_TRUE(heard.outcome);
  if (heard.outcome->how != Ended::kFinished) return;
  EXPECT_EQ(heard.tokens, heard.outcome->answer.tokens);
  EXPECT_EQ(heard.text, heard.outcome->answer.text);
  EXPECT_EQ(heard.logprobs, heard.outcome->answer.logprobs.size());
}

Ids random_prompt(std::mt19937& random) {
  Ids ids(1 + random() % 60);
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(random() % 505);
  return ids;
}

std::vector<Ask> mixed_asks() {
  std::mt19937 random(99);
  std::vector<Ask> asks;
  for (int i = 0; i < 32; ++i) {
    Ask ask{.prompt = random_prompt(random), .max_tokens = 1 + static_cast<std::int64_t>(random() % 50)};
    ask.sampling.seed = random();
    if (i % 3 == 0) ask.sampling.temperature = 0;
    if (i % 4 == 1) ask.sampling = {.temperature = 0.7, .top_k = 40, .top_p = 0.9, .seed = 4};
    if (i % 5 == 2) ask.sampling.repetition_penalty = 1.3;
    if (i % 7 == 3) ask.stop = {"e", "th"};
    if (i % 6 == 4)
      for (std::int32_t id = 0; id < 40; ++id) ask.eos.insert(id);
    if (i % 4 == 0) ask.logprobs = i % 8;
    if (i > 0 && i % 8 == 7) {
      ask = asks.back();  // another choice of the same
      ask.choice = 1;
    }
    asks.push_back(ask);
  }
  return asks;
}

std::vector<Heard> alone(Model& model, const std::vector<Ask>& asks) {
  std::vector<Heard> heard(asks.size());
  for (std::size_t i = 0; i < asks.size(); ++i) {
    Scheduler scheduler(model.decoder, words(), {.running = 1});
    scheduler.submit(asks[i], heard[i].listener());
    while (scheduler.step()) {
    }
  }
  return heard;
}

/// All of them through one scheduler, in a random order and in the course of its passes.
std::vector<Heard> mixed(Model& model, const std::vector<Ask>& asks, SchedulerOptions options,
                         unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::size_t> order(asks.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), random);
  std::vector<Heard> heard(asks.size());
  Scheduler scheduler(model.decoder, words(), options);
  std::size_t next = 0;
  bool busy = true;
  while (busy || next < order.size()) {
    for (auto some = random() % 6; some > 0 && next < order.size(); --some, ++next)
      scheduler.submit(asks[order[next]], heard[order[next]].listener());
    busy = scheduler.step();
    EXPECT_LE(scheduler.load().running, static_cast<std::size_t>(options.running));
  }
  return heard;
}

class SchedulerMix : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Profiles, SchedulerMix, testing::Bool());

TEST_P(SchedulerMix, NothingAboutTheMixDecidesABit) {
  Model one(1, GetParam()), two(2, GetParam()), three(3, GetParam());
  std::vector<Ask> asks = mixed_asks();
  if (kSanitizers) asks.resize(12);  // they make it some hundred times slower
  const std::vector<Heard> expected = alone(one, asks);
  std::size_t stopped = 0, long_ones = 0;
  std::set<Ids> answers;
  for (const Heard& each : expected) {
    expect_told_whole(each);
    ASSERT_EQ(each.outcome->how, Ended::kFinished) << each.outcome->error;
    ASSERT_EQ(each.outcome->boundaries.size(), 3u);
    stopped += each.outcome->answer.finish == Finish::kStop;
    long_ones += each.tokens.size() > 10;
    answers.insert(each.tokens);
  }
  // The test would see a difference.
  EXPECT_GE(stopped, asks.size() / 12);
  EXPECT_GT(long_ones, asks.size() / 6);
  EXPECT_GT(answers.size(), asks.size() * 3 / 4);
  const std::int64_t least = one.decoder.cache_bytes(96);
  const SchedulerOptions options[] = {{.running = 32, .pass_tokens = 4096},
                                      {.running = 5, .pass_tokens = 5},
                                      {.running = 8, .pass_tokens = 37},
                                      {.running = 32, .pass_tokens = 64, .cache_bytes = 3 * least}};
  unsigned seed = 0;
  for (Model* model : {&one, &two, &three})
    for (const SchedulerOptions& each : options) {
      SCOPED_TRACE(testing::Message() << model->pool.threads() << " threads, mix " << seed);
      const std::vector<Heard> heard = mixed(*model, asks, each, ++seed);
      for (std::size_t i = 0; i < asks.size(); ++i) {
        expect_same(heard[i], expected[i]);
        expect_told_whole(heard[i]);
      }
    }
}

// Digests are of what a forward pass over prompt and answer shows.
TEST(Scheduler, DigestsTheBoundariesOfAllButTheLastToken) {
  Model model(2);
  const Ask ask{.prompt = {7, 300, 20}, .max_tokens = 9};
  const Heard heard = std::move(alone(model, {ask})[0]);
  ASSERT_EQ(heard.tokens.size(), 9u);
  Ids all = ask.prompt;
  all.insert(all.end(), heard.tokens.begin(), heard.tokens.end() - 1);
  Sequence sequence = model.decoder.begin();
  std::vector<Digest> digests;
  model.decoder.run({{{&sequence, all}}}, [&](int, const data::Rows& rows, const Matrix& x) {
    EXPECT_EQ(rows.size(), 11);
    digests.push_back(hash::blake3(x.bytes()));
  });
  EXPECT_EQ(heard.outcome->boundaries, digests);
}

TEST(Scheduler, TellsHowLongItTook) {
  Model model(1);
  const Heard heard = std::move(alone(model, {{.prompt = {7, 300, 20}, .max_tokens = 9}})[0]);
  EXPECT_GE(heard.outcome->timing.queued, 0);
  EXPECT_GT(heard.outcome->timing.prefill, 0);
  EXPECT_GT(heard.outcome->timing.decode, 0);
}

TEST(Scheduler, AnErrorEndsOneAnswerAlone) {
  for (const bool i14 : {false, true}) {
    Model model(2, i14, false);
    std::vector<Ask> asks;
    for (int i = 0; i < 6; ++i)
      asks.push_back(
          {.prompt = {5 + i, 90}, .max_tokens = 12, .sampling = {.logit_bias = {{kPoison, -1e6}}}});
    asks[3].prompt.push_back(kPoison);
    const std::vector<Heard> expected = alone(model, asks), heard = mixed(model, asks, {.running = 6}, 1);
    for (std::size_t i = 0; i < asks.size(); ++i) {
      expect_same(heard[i], expected[i]);
      EXPECT_EQ(heard[i].outcome->how, i == 3 ? Ended::kFailed : Ended::kFinished);
    }
    EXPECT_EQ(heard[3].outcome->error, "non-finite logits");
  }
}

TEST(Scheduler, CancelsWhatRunsAndWhatWaits) {
  Model model(1);
  Scheduler scheduler(model.decoder, words(), {.running = 1});
  Heard heard[4];
  const Ask ask{.prompt = {5, 6}, .max_tokens = 20};
  std::vector<AskId> ids;
  for (Heard& each : heard) ids.push_back(scheduler.submit(ask, each.listener()));
  EXPECT_TRUE(scheduler.step());
  EXPECT_EQ(scheduler.load().running, 1u);
  EXPECT_EQ(scheduler.load().waiting, 3u);
  scheduler.cancel(ids[0]);
  scheduler.cancel(ids[2]);
  scheduler.cancel(12345);
  while (scheduler.step()) {
  }
  EXPECT_EQ(heard[0].outcome->how, Ended::kCancelled);
  EXPECT_EQ(heard[0].tokens.size(), 1u);
  EXPECT_EQ(heard[2].outcome->how, Ended::kCancelled);
  EXPECT_TRUE(heard[2].tokens.empty());
  EXPECT_EQ(heard[1].outcome->how, Ended::kFinished);
  EXPECT_EQ(heard[3].outcome->how, Ended::kFinished);
  scheduler.cancel(ids[1]);  // has ended
  EXPECT_FALSE(scheduler.step());
}

TEST(Scheduler, WaitsForRoomInTheCache) {
  Model model(1);
  const std::int64_t one = model.decoder.cache_bytes(21);
  EXPECT_EQ(one, 21 * 3 * 2 * 8 * 2 * 4);
  Scheduler scheduler(model.decoder, words(), {.running = 8, .cache_bytes = 2 * one});
  Heard heard[5];
  for (Heard& each : heard) scheduler.submit({.prompt = {5, 6}, .max_tokens = 20}, each.listener());
  std::size_t most = 0;
  while (scheduler.step()) most = std::max(most, scheduler.load().running);
  EXPECT_EQ(most, 2u);
  for (const Heard& each : heard) EXPECT_EQ(each.tokens.size(), 20u);
  EXPECT_THROW(scheduler.submit({.prompt = Ids(40, 5), .max_tokens = 4}, heard[0].listener()), Error);
}

TEST(Scheduler, DecodingGoesOnWhileALongPromptIsRead) {
  Model model(1);
  Scheduler scheduler(model.decoder, words(), {.running = 2, .pass_tokens = 4});
  Heard first, second;
  scheduler.submit({.prompt = {5}, .max_tokens = 40}, first.listener());
  scheduler.step();
  scheduler.submit({.prompt = Ids(30, 6), .max_tokens = 2}, second.listener());
  for (int pass = 0; pass < 9; ++pass) scheduler.step();
  EXPECT_EQ(first.tokens.size(), 10u);
  EXPECT_TRUE(second.tokens.empty());  // 27 of 30
  scheduler.step();
  EXPECT_EQ(second.tokens.size(), 1u);
}

TEST(Scheduler, RefusesWhatItCannotDo) {
  Model model(1);
  EXPECT_THROW(Scheduler(model.decoder, words(), {.running = 0}), Error);
  EXPECT_THROW(Scheduler(model.decoder, words(), {.running = 8, .pass_tokens = 7}), Error);
  Scheduler scheduler(model.decoder, words());
  const auto nothing = [](const Event&) {};
  EXPECT_THROW(scheduler.submit({.prompt = {}, .max_tokens = 1}, nothing), Error);
  EXPECT_THROW(scheduler.submit({.prompt = {512}, .max_tokens = 1}, nothing), Error);
  EXPECT_THROW(scheduler.submit({.prompt = Ids(96, 1), .max_tokens = 1}, nothing), Error);
  EXPECT_FALSE(scheduler.step());
  scheduler.close();
  EXPECT_THROW(scheduler.submit({.prompt = {1}, .max_tokens = 1}, nothing), Error);
  EXPECT_FALSE(scheduler.wait());
}

TEST(Scheduler, AListenerMaySubmitAndCancel) {
  Model model(1);
  Scheduler scheduler(model.decoder, words());
  Heard second;
  AskId first = 0;
  bool cancelled = false;
  first = scheduler.submit({.prompt = {5}, .max_tokens = 50}, [&](const Event& event) {
    if (event.outcome) {
      cancelled = event.outcome->how == Ended::kCancelled;
    } else if (second.tokens.empty() && !cancelled) {
      scheduler.submit({.prompt = {6}, .max_tokens = 3}, second.listener());
      scheduler.cancel(first);
    }
  });
  while (scheduler.step()) {
  }
  EXPECT_TRUE(cancelled);
  EXPECT_EQ(second.tokens.size(), 3u);
}

// Threads that submit and cancel while another steps; what is not cancelled is what it is alone.
TEST(SchedulerThreads, SubmitAndCancelWhileItRuns) {
  Model model(2);
  std::vector<Ask> asks = mixed_asks();
  for (Ask& ask : asks) ask.max_tokens = std::min<std::int64_t>(ask.max_tokens, 12);
  const std::vector<Heard> expected = alone(model, asks);
  Scheduler scheduler(model.decoder, words(), {.running = 6, .pass_tokens = 48});
  std::vector<Heard> heard(asks.size());
  std::thread server([&] {
    while (scheduler.wait()) scheduler.step();
  });
  std::atomic<int> told{0};
  std::vector<std::thread> clients;
  for (std::size_t client = 0; client < 4; ++client)
    clients.emplace_back([&, client] {
      for (std::size_t i = client; i < asks.size(); i += 4) {
        const AskId id = scheduler.submit(asks[i], heard[i].listener());
        const auto ignored = scheduler.submit(asks[i], [&](const Event&) { ++told; });
        scheduler.cancel(ignored);
        if (i % 5 == 0) scheduler.cancel(id);
        (void)scheduler.load();
        std::this_thread::yield();
      }
    });
  for (std::thread& client : clients) client.join();
  scheduler.close();
  server.join();
  EXPECT_GE(told, 32);
  for (std::size_t i = 0; i < asks.size(); ++i) {
    ASSERT_TRUE(heard[i].outcome);
    if (heard[i].outcome->how == Ended::kCancelled)
      EXPECT_EQ(i % 5, 0u);
    else
      expect_same(heard[i], expected[i]);
  }
  EXPECT_EQ(scheduler.load().waiting + scheduler.load().running, 0u);
}

}  // namespace
}  // namespace aftune::generate
