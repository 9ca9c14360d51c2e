#include "generate/answer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/files.h"
#include "detokenizer_check.h"

namespace aftune::generate {
namespace {

using testing_support::defined_text;
using testing_support::Ids;
using tokenizer::Tokenizer;

constexpr std::int64_t kVocab = 700, kPositions = 200;

const Tokenizer& made(const std::string& flavour) {
  static std::map<std::string, Tokenizer> all;
  const auto found = all.find(flavour);
  if (found != all.end()) return found->second;
  return all
      .emplace(flavour,
               Tokenizer::read(fs::path(AFTUNE_TESTS_DIR) / "vectors/tokenizer" / flavour / "tokenizer.json"))
      .first->second;
}

Ask ask_for(Ids prompt, std::int64_t max_tokens = 50) {
  return {.prompt = std::move(prompt), .max_tokens = max_tokens, .sampling = {.temperature = 0}};
}

// Logits of which `token` is the largest.
std::vector<float> logits_of(std::int32_t token) {
  std::vector<float> logits(kVocab, 0.0f);
  logits[static_cast<std::size_t>(token)] = 1;
  return logits;
}

// Makes an answer say `ids` as far as it goes, and checks what is settled on the way.
Answer say(const Ask& ask, const Ids& ids, const std::string& flavour = "gpt2",
           std::int64_t positions = kPositions) {
  Answering answering(ask, made(flavour), positions);
  std::string settled;
  for (const std::int32_t id : ids) {
    const bool finished = answering.next(logits_of(id));
    EXPECT_EQ(finished, answering.finished());
    EXPECT_EQ(answering.last(), id);
    EXPECT_TRUE(answering.settled().starts_with(settled)) << settled << " | " << answering.settled();
    settled = std::string(answering.settled());
    if (finished) break;
  }
  if (answering.finished()) {
    EXPECT_EQ(settled, answering.answer().text);
  }
  return answering.take();
}

std::string refused(const Ask& ask, std::int64_t positions = kPositions) {
  try {
    check(ask, kVocab, positions);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kUsage);
    return e.what();
  }
  return "accepted";
}

TEST(Answer, EndsWithEosWhichIsNotText) {
  const Ids words = made("gpt2").encode("the log", false);
  Ask ask = ask_for({5});
  ask.eos = {2, 1};
  Ids ids = words;
  ids.insert(ids.end(), {1, 40});
  const Answer answer = say(ask, ids);
  EXPECT_EQ(answer.finish, Finish::kStop);
  EXPECT_EQ(answer.tokens.size(), words.size() + 1);
  EXPECT_EQ(answer.tokens.back(), 1);
  EXPECT_EQ(answer.text, "the log");
  // An id of eos that has a text of its own is left out of it too.
  ask.eos = {words.back()};
  EXPECT_EQ(say(ask, words).text, made("gpt2").decode(Ids(words.begin(), words.end() - 1), true));
}

TEST(Answer, EndsAtMaxTokensOrTheLastPosition) {
  const Ids ids(60, 40);
  EXPECT_EQ(say(ask_for({5}, 7), ids).tokens.size(), 7u);
  EXPECT_EQ(say(ask_for({5}, 7), ids).finish, Finish::kLength);
  EXPECT_EQ(say(ask_for({5, 6, 7}, 50), ids, "gpt2", 10).tokens.size(), 7u);
  EXPECT_EQ(say(ask_for({5, 6, 7}, 50), ids, "gpt2", 4).tokens.size(), 1u);
  // Both at once: the stop is the reason.
  Ask ask = ask_for({5}, 2);
  ask.eos = {40};
  EXPECT_EQ(say(ask, {39, 40}).finish, Finish::kStop);
}

TEST(Answer, IsCutBeforeTheEarliestStopString) {
  const Tokenizer& tokenizer = made("gpt2");
  const Ids ids = tokenizer.encode("the log and the training run", false);
  Ask ask = ask_for({5});
  ask.stop = {"training", "the tr", "nowhere"};
  const Answer answer = say(ask, ids);
  EXPECT_EQ(answer.finish, Finish::kStop);
  EXPECT_EQ(answer.text, "the log and ");
  EXPECT_LT(answer.tokens.size(), ids.size());
  ask.stop = {"the"};
  EXPECT_EQ(say(ask, ids).text, "");
  ask.stop = {"log and a"};
  EXPECT_EQ(say(ask, ids).tokens, ids);
}

TEST(Answer, HoldsBackWhatMayBecomeAStopString) {
  const Tokenizer& tokenizer = made("gpt2");
  Ask ask = ask_for({5});
  ask.stop = {"ab\nac"};
  Answering answering(ask, tokenizer, kPositions);
  const auto say_bytes = [&](const char* text) {
    for (const std::int32_t id : tokenizer.encode(text, false)) answering.next(logits_of(id));
    return std::string(answering.settled());
  };
  EXPECT_EQ(say_bytes("x"), "x");
  EXPECT_EQ(say_bytes("a"), "x");
  EXPECT_EQ(say_bytes("b"), "x");
  EXPECT_EQ(say_bytes("\n"), "x");
  EXPECT_EQ(say_bytes("a"), "x");
  EXPECT_EQ(say_bytes("b"), "xab\n");
  EXPECT_EQ(say_bytes("\n"), "xab\n");
  EXPECT_EQ(say_bytes("a"), "xab\n");
  EXPECT_EQ(say_bytes("c"), "xab\n");
  EXPECT_TRUE(answering.finished());
  EXPECT_EQ(answering.answer().text, "xab\n");
}

// The rule as it is written, with the whole text each time.
Answer defined_answer(const Ask& ask, const Ids& ids, const Tokenizer& tokenizer, std::int64_t positions) {
  Answer answer;
  Ids spoken;
  for (const std::int32_t id : ids) {
    answer.tokens.push_back(id);
    const bool eos = ask.eos.contains(id);
    if (!eos) spoken.push_back(id);
    answer.text = defined_text(tokenizer, ask.prompt, spoken);
    std::size_t first = std::string::npos;
    for (const std::string& stop : ask.stop) first = std::min(first, answer.text.find(stop));
    if (!eos && first != std::string::npos) answer.text.resize(first);
    answer.finish = eos || first != std::string::npos ? Finish::kStop : Finish::kLength;
    if (answer.finish == Finish::kStop || std::ssize(answer.tokens) == ask.max_tokens ||
        std::ssize(ask.prompt) + std::ssize(answer.tokens) == positions)
      break;
  }
  return answer;
}

TEST(Answer, IsTheRuleForRandomIdsAndStops) {
  int stopped = 0, cut = 0;
  for (const std::string flavour : {"gpt2", "sentencepiece", "mixed-fallback", "metaspace-first"}) {
    const Tokenizer& tokenizer = made(flavour);
    std::mt19937 random(5);
    for (int round = 0; round < 300; ++round) {
      SCOPED_TRACE(flavour + ", round " + std::to_string(round));
      Ask ask = ask_for(testing_support::random_ids(tokenizer, random, 1 + random() % 10), 1 + random() % 40);
      const std::int64_t positions = std::ssize(ask.prompt) + 1 + static_cast<std::int64_t>(random() % 40);
      Ids ids = testing_support::random_ids(tokenizer, random, 40);
      // Stops that are there, or nearly: pieces of the text, and one with another end.
      const std::string text = defined_text(tokenizer, ask.prompt, ids);
      for (unsigned i = random() % 4; i > 0 && !text.empty(); --i) {
        std::string stop = text.substr(random() % text.size(), 1 + random() % 9);
        if (random() % 3 == 0) stop.back() = '#';
        ask.stop.push_back(stop);
      }
      if (random() % 3 == 0) ask.eos = {ids[random() % ids.size()]};
      const Answer expected = defined_answer(ask, ids, tokenizer, positions);
      const Answer found = say(ask, ids, flavour, positions);
      ASSERT_EQ(found.tokens, expected.tokens);
      ASSERT_EQ(found.finish, expected.finish);
      ASSERT_EQ(found.text, expected.text);
      stopped += found.finish == Finish::kStop;
      cut += found.finish == Finish::kStop && !ask.eos.contains(found.tokens.back());
    }
  }
  EXPECT_GT(stopped, 300);
  EXPECT_GT(cut, 200);
}

TEST(Answer, GrowsAlikeByTokensThatAreKnown) {
  Ask ask = ask_for({5}, 30);
  ask.sampling = {.repetition_penalty = 1.5, .frequency_penalty = 0.3, .seed = 4};
  Answering drawn(ask, made("gpt2"), kPositions), known(ask, made("gpt2"), kPositions);
  for (int i = 0; i < 20; ++i) drawn.next(logits_of(40 + i));
  for (std::size_t i = 0; i < 20; ++i) known.accept(drawn.answer().tokens[i]);
  EXPECT_EQ(known.settled(), drawn.settled());
  // What was accepted counts for the penalties and the place in the answer.
  while (!drawn.next(logits_of(77))) EXPECT_FALSE(known.next(logits_of(77)));
  EXPECT_TRUE(known.next(logits_of(77)));
  EXPECT_EQ(known.answer().tokens, drawn.answer().tokens);
  EXPECT_EQ(known.answer().text, drawn.answer().text);
}

TEST(Answer, TellsLogprobsIfAsked) {
  Ask ask = ask_for({5}, 3);
  EXPECT_TRUE(say(ask, {40, 41, 42}).logprobs.empty());
  ask.logprobs = 2;
  const Answer answer = say(ask, {40, 41, 42});
  ASSERT_EQ(answer.logprobs.size(), 3u);
  EXPECT_EQ(answer.logprobs[1].size(), 3u);
  EXPECT_EQ(answer.logprobs[1][0].id, 41);
  EXPECT_EQ(answer.logprobs[1][0].logprob, logprobs(logits_of(41), 41, 0)[0].logprob);
}

TEST(Answer, WhatIsAskedIsChecked) {
  EXPECT_EQ(refused(ask_for({5, 6})), "accepted");
  EXPECT_EQ(refused(ask_for({})), "prompt: no tokens");
  EXPECT_EQ(refused(ask_for({5, 6}), 2), "prompt: 2 tokens leave no room in the 2 positions of this model");
  EXPECT_EQ(refused(ask_for({5}, 0)), "max_tokens: 0 is less than 1");
  EXPECT_EQ(refused(ask_for({5, 700})), "prompt: token 700 is beyond the model's vocabulary of 700");
  EXPECT_EQ(refused(ask_for({-1})), "prompt: token -1 is beyond the model's vocabulary of 700");
  Ask ask = ask_for({5});
  ask.stop = {"a", ""};
  EXPECT_EQ(refused(ask), "stop: an empty string");
  EXPECT_THROW(Answering(ask, made("gpt2"), kPositions), Error);
  ask.stop.clear();
  ask.sampling.top_p = 2;
  EXPECT_EQ(refused(ask), "top_p is more than 0 and at most 1");
}

}  // namespace
}  // namespace aftune::generate
