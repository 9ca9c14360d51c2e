#include <gtest/gtest.h>

#include <sstream>
#include <thread>

#include "base/files.h"
#include "base/json.h"
#include "tokenizer/tokenizer.h"

namespace aftune::tokenizer {
namespace {

const fs::path kVectors = fs::path(AFTUNE_TESTS_DIR) / "vectors/tokenizer";

std::vector<Json> cases_of(const fs::path& folder) {
  std::vector<Json> cases;
  std::istringstream lines(read_file(folder / "cases.jsonl", 1 << 20));
  for (std::string line; std::getline(lines, line);) cases.push_back(parse_json(line));
  return cases;
}

void expect_case(const Tokenizer& tokenizer, const Json& v) {
  const auto text = v.at("text").get<std::string>();
  const auto with_specials = v.at("with_specials").get<std::vector<std::int32_t>>();
  EXPECT_EQ(tokenizer.encode(text, false), v.at("ids").get<std::vector<std::int32_t>>()) << v;
  EXPECT_EQ(tokenizer.encode(text, true), with_specials) << v;
  EXPECT_EQ(tokenizer.decode(with_specials, false), v.at("decoded").get<std::string>()) << v;
  EXPECT_EQ(tokenizer.decode(with_specials, true), v.at("decoded_skip").get<std::string>()) << v;
}

TEST(TokenizerVectors, EveryFlavourAnswersAsHuggingFace) {
  int flavours = 0;
  for (const auto& entry : fs::directory_iterator(kVectors)) {
    SCOPED_TRACE(entry.path().filename());
    const Tokenizer tokenizer = Tokenizer::read(entry.path() / "tokenizer.json");
    const std::vector<Json> cases = cases_of(entry.path());
    EXPECT_GE(cases.size(), 30u);
    for (const Json& v : cases) expect_case(tokenizer, v);
    ++flavours;
  }
  EXPECT_EQ(flavours, 10);
}

TEST(TokenizerVectors, EncodeMayBeCalledFromSeveralThreads) {
  const Tokenizer tokenizer = Tokenizer::read(kVectors / "qwen/tokenizer.json");
  const std::vector<Json> cases = cases_of(kVectors / "qwen");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (const Json& v : cases) expect_case(tokenizer, v);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(TokenizerVectors, IdsAndSizes) {
  const Tokenizer tokenizer = Tokenizer::read(kVectors / "llama3/tokenizer.json");
  EXPECT_EQ(tokenizer.size(), 505);  // 500 of the model, five added that it did not have
  EXPECT_EQ(tokenizer.id_of("<s>"), 1);
  EXPECT_EQ(tokenizer.id_of("<mask>"), 500);
  EXPECT_EQ(tokenizer.id_of("Ġt"), 259);
  EXPECT_EQ(tokenizer.id_of("no such token"), -1);
  EXPECT_EQ(tokenizer.id_of(""), -1);
}

TEST(TokenizerVectors, UnknownIdsAreLeftOutOfTheText) {
  const Tokenizer tokenizer = Tokenizer::read(kVectors / "gpt2/tokenizer.json");
  std::vector<std::int32_t> ids = tokenizer.encode("the log", false);
  ids.insert(ids.begin(), {-1, 500, 2147483647, -2147483647 - 1});
  EXPECT_EQ(tokenizer.decode(ids, false), "the log");
}

TEST(TokenizerVectors, InvalidUtf8IsReplacedFirst) {
  for (const char* flavour : {"gpt2", "qwen", "sentencepiece"}) {
    const Tokenizer tokenizer = Tokenizer::read(kVectors / flavour / "tokenizer.json");
    EXPECT_EQ(tokenizer.encode("a\xff\xe6\x97 b\xf0\x9f\x99", true),
              tokenizer.encode("a\xef\xbf\xbd\xef\xbf\xbd b\xef\xbf\xbd", true));
  }
}

}  // namespace
}  // namespace aftune::tokenizer
