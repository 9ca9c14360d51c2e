#include "tokenizer/merges.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>

#include "base/error.h"

namespace aftune::tokenizer {
namespace {

struct Model {
  Vocabulary vocabulary;
  Merges merges;
  std::vector<std::pair<std::string, std::string>> list;  // by rank
};

Model model_of(const std::vector<std::pair<std::string, std::string>>& list, const std::string& letters) {
  Json vocab = Json::object();
  Json merges = Json::array();
  const auto add = [&vocab](const std::string& token) {
    if (!vocab.contains(token)) vocab[token] = vocab.size();
  };
  for (const char letter : letters) add({letter});
  for (const auto& [left, right] : list) {
    add(left + right);
    merges.push_back({left, right});
  }
  Model model;
  model.vocabulary = Vocabulary::from_json(vocab);
  model.merges = Merges::from_json(merges, model.vocabulary);
  model.list = list;
  return model;
}

// Random merges of tokens that exist, so that longer ones are built of shorter ones.
Model random_model(std::mt19937& random, const std::string& letters, int count) {
  std::vector<std::string> tokens;
  for (const char letter : letters) tokens.push_back({letter});
  std::vector<std::pair<std::string, std::string>> list;
  const auto any = [&] { return tokens[random() % tokens.size()]; };
  for (int i = 0; i < count; ++i) {
    const std::pair pair(any(), any());
    if (pair.first.size() + pair.second.size() > 12 || std::ranges::find(list, pair) != list.end()) continue;
    list.push_back(pair);
    tokens.push_back(pair.first + pair.second);
  }
  return model_of(list, letters);
}

// The definition, word for word: the lowest rank of all adjacent pairs, the leftmost on ties, again and
// again.
std::vector<std::string> merged_by_definition(const Model& model, std::vector<std::string> parts) {
  while (true) {
    std::size_t best_rank = model.list.size();
    std::size_t best_at = 0;
    for (std::size_t at = 0; at + 1 < parts.size(); ++at) {
      const auto found = std::ranges::find(model.list, std::pair(parts[at], parts[at + 1]));
      const auto rank = static_cast<std::size_t>(found - model.list.begin());
      if (rank < best_rank) best_rank = rank, best_at = at;
    }
    if (best_rank == model.list.size()) return parts;
    parts[best_at] += parts[best_at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

TEST(Merges, BothWaysFollowTheDefinition) {
  std::mt19937 random(20240);
  for (int round = 0; round < 300; ++round) {
    const std::string letters = round % 3 == 0 ? "ab" : "abcd";
    const Model model = random_model(random, letters, 40);
    std::vector<std::string> word(random() % 60);
    for (std::string& letter : word) letter = letters[random() % letters.size()];
    std::vector<std::int32_t> symbols;
    for (const std::string& letter : word) symbols.push_back(model.vocabulary.id_of(letter));
    std::vector<std::int32_t> expected;
    for (const std::string& part : merged_by_definition(model, word))
      expected.push_back(model.vocabulary.id_of(part));
    std::vector<std::int32_t> scanned = symbols;
    model.merges.apply_by_scanning(scanned);
    std::vector<std::int32_t> queued = symbols;
    model.merges.apply_by_queue(queued);
    ASSERT_EQ(scanned, expected) << "round " << round;
    ASSERT_EQ(queued, expected) << "round " << round;
  }
}

TEST(Merges, AMegabyteOfOneLetterIsNotQuadratic) {
  const Model model = model_of({{"a", "a"}, {"aa", "aa"}, {"aaaa", "a"}}, "a");
  std::vector<std::int32_t> symbols(1'000'001, model.vocabulary.id_of("a"));
  const auto start = std::chrono::steady_clock::now();
  model.merges.apply(symbols);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  EXPECT_EQ(symbols.size(), 250'000u);
  EXPECT_EQ(symbols.back(), model.vocabulary.id_of("aaaaa"));
}

TEST(Merges, OfAPairThatStandsTwiceTheLaterRankCounts) {
  const Model model = model_of({{"a", "b"}, {"b", "c"}, {"a", "b"}}, "abc");
  std::vector<std::int32_t> symbols = {model.vocabulary.id_of("a"), model.vocabulary.id_of("b"),
                                       model.vocabulary.id_of("c")};
  model.merges.apply(symbols);
  EXPECT_EQ(symbols, (std::vector{model.vocabulary.id_of("a"), model.vocabulary.id_of("bc")}));
}

std::string merges_error(const std::string& merges) {
  const Vocabulary vocabulary = Vocabulary::from_json(parse_json(R"({"a":0,"b":1,"ab":2})"));
  try {
    Merges::from_json(parse_json(merges), vocabulary);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kEvidence);
    return e.what();
  }
  return "accepted";
}

TEST(Merges, BadListsAreRefused) {
  const std::string malformed = R"(: not "left right" or ["left", "right"])";
  EXPECT_EQ(merges_error(R"(["a b", ["a","b"]])"), "accepted");
  EXPECT_EQ(merges_error(R"({})"), "merges: not a JSON array");
  EXPECT_EQ(merges_error(R"(["a b","ab"])"), "merges: number 1" + malformed);
  EXPECT_EQ(merges_error(R"(["a b c"])"), "merges: number 0" + malformed);
  EXPECT_EQ(merges_error(R"([["a"]])"), "merges: number 0" + malformed);
  EXPECT_EQ(merges_error(R"([["a","b","c"]])"), "merges: number 0" + malformed);
  EXPECT_EQ(merges_error(R"([["a",1]])"), "merges: number 0" + malformed);
  EXPECT_EQ(merges_error(R"([7])"), "merges: number 0" + malformed);
  EXPECT_EQ(merges_error(R"(["a c"])"), "merges: number 0: \"c\" is not in the vocabulary");
  EXPECT_EQ(merges_error(R"(["b a"])"), "merges: number 0: \"ba\" is not in the vocabulary");
}

std::string vocabulary_error(const std::string& vocab) {
  try {
    Vocabulary::from_json(parse_json(vocab));
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kEvidence);
    return e.what();
  }
  return "accepted";
}

TEST(Vocabulary, BadOnesAreRefused) {
  EXPECT_EQ(vocabulary_error(R"({"a":0,"b":7})"), "accepted");
  EXPECT_EQ(vocabulary_error(R"({"a":4194303})"), "accepted");
  EXPECT_EQ(vocabulary_error(R"([])"), "vocab: not a JSON object");
  EXPECT_EQ(vocabulary_error(R"({"a":3,"b":3})"), "vocab: id 3 stands twice");
  EXPECT_EQ(vocabulary_error(R"({"":3})"), "vocab: id 3 is an empty token");
  EXPECT_EQ(vocabulary_error(R"({"a":"0"})"), R"(vocab: the id of "a" is not an integer)");
  EXPECT_EQ(vocabulary_error(R"({"a":0.0})"), R"(vocab: the id of "a" is not an integer)");
  for (const char* id : {"-1", "4194304", "2147483648", "18446744073709551615", "-9223372036854775808"})
    EXPECT_EQ(vocabulary_error(std::string(R"({"a":)") + id + "}"),
              R"(vocab: the id of "a" is not within 0 and 4194303)");
}

}  // namespace
}  // namespace aftune::tokenizer
