#include "generate/detokenizer.h"

#include <gtest/gtest.h>

#include <chrono>

#include "base/files.h"
#include "base/json.h"
#include "detokenizer_check.h"

namespace aftune::generate {
namespace {

using testing_support::defined_text;
using testing_support::Ids;
using tokenizer::Tokenizer;

const fs::path kVectors = fs::path(AFTUNE_TESTS_DIR) / "vectors/tokenizer";

Tokenizer made(const char* flavour) {
  return Tokenizer::read(kVectors / flavour / "tokenizer.json");
}

/// The small tokenizer of a flavour with another decoder.
Tokenizer with_decoder(const char* flavour, const char* decoder) {
  Json file = parse_json(read_file(kVectors / flavour / "tokenizer.json", 1 << 20));
  file["decoder"] = parse_json(decoder);
  return Tokenizer::parse(file.dump());
}

TEST(Detokenizer, IsTheDefinitionForEveryPrefix) {
  int flavours = 0;
  for (const auto& entry : fs::directory_iterator(kVectors)) {
    SCOPED_TRACE(entry.path().filename());
    std::size_t settled = 0;
    testing_support::expect_defined_texts(Tokenizer::read(entry.path() / "tokenizer.json"), 7, 150, settled);
    EXPECT_GT(settled, 1000u);
    ++flavours;
  }
  EXPECT_EQ(flavours, 10);
}

// Whatever a file may ask for: what cannot be followed step by step settles nothing, and is right.
TEST(Detokenizer, IsTheDefinitionForEveryDecoder) {
  const std::string mark = R"({"type":"Replace","pattern":{"String":"▁"},"content":" "})";
  const std::string bytes = R"({"type":"ByteFallback"})", fuse = R"({"type":"Fuse"})";
  const std::string strip = R"({"type":"Strip","content":" ","start":2,"stop":0})";
  const std::string ends = R"({"type":"Strip","content":"e","start":0,"stop":1})";
  const std::string level = R"({"type":"ByteLevel"})";
  const std::string space = R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first"})";
  const std::string word = R"({"type":"Replace","pattern":{"String":"th"},"content":"TH"})";
  const std::string two = R"({"type":"Strip","content":"e","start":3,"stop":0})";
  const auto sequence = [](std::initializer_list<std::string> steps) {
    std::string list;
    for (const std::string& step : steps) list += (list.empty() ? "" : ",") + step;
    return R"({"type":"Sequence","decoders":[)" + list + "]}";
  };
  const std::pair<std::string, bool> decoders[] = {{"null", true},
                                                   {sequence({mark, bytes}), true},
                                                   {sequence({mark, bytes, strip}), true},
                                                   {sequence({mark, bytes, space, fuse, strip}), true},
                                                   {sequence({bytes, bytes, space}), true},
                                                   {sequence({ends, two, level, two}), true},
                                                   {sequence({level, strip}), true},
                                                   {sequence({fuse}), true},
                                                   {sequence({mark, bytes, fuse, ends}), false},
                                                   {sequence({mark, fuse, word, bytes}), false},
                                                   {sequence({fuse, level}), false}};
  for (const char* flavour : {"gpt2", "sentencepiece", "mixed-fallback"})
    for (const auto& [decoder, followed] : decoders) {
      SCOPED_TRACE(std::string(flavour) + " with " + decoder);
      std::size_t settled = 0;
      testing_support::expect_defined_texts(with_decoder(flavour, decoder.c_str()), 3, 40, settled);
      EXPECT_EQ(settled > 0, followed);
    }
}

TEST(Detokenizer, TheFirstSpaceOfAnAnswerStays) {
  const Tokenizer tokenizer = made("sentencepiece");
  const Ids prompt = tokenizer.encode("the", true), world = tokenizer.encode("world", false);
  Detokenizer after_text(tokenizer, Ids(prompt.begin(), prompt.end() - 1));  // without </s>
  Detokenizer after_nothing(tokenizer, Ids{1});
  for (const std::int32_t id : world) {
    after_text.add(id);
    after_nothing.add(id);
  }
  EXPECT_EQ(after_text.text(), " world");
  EXPECT_EQ(after_nothing.text(), "world");
}

TEST(Detokenizer, HoldsBackHalfACharacter) {
  const Tokenizer tokenizer = made("gpt2");
  const Ids ids = tokenizer.encode("🙂", false);
  ASSERT_GT(ids.size(), 1u);
  Detokenizer detokenizer(tokenizer, Ids{5});
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
    detokenizer.add(ids[i]);
    EXPECT_EQ(detokenizer.settled(), "");
    EXPECT_EQ(detokenizer.text(), "\xef\xbf\xbd");
  }
  detokenizer.add(ids.back());
  EXPECT_EQ(detokenizer.settled(), "🙂");
  // A character that the prompt began is the answer's.
  Detokenizer inside(tokenizer, Ids(ids.begin(), ids.end() - 1));
  EXPECT_EQ(inside.text(), "");
  inside.add(ids.back());
  EXPECT_EQ(inside.text(), "🙂");
}

// Of byte tokens without an end the whole run may still turn out not to be UTF-8.
TEST(Detokenizer, HoldsBackARunOfByteTokens) {
  const Tokenizer tokenizer = made("sentencepiece");
  Ids run = tokenizer.encode("🙂🙂", false);
  run.erase(run.begin());  // the mark of a space
  Detokenizer detokenizer(tokenizer, Ids{5});
  for (const std::int32_t id : run) detokenizer.add(id);
  EXPECT_EQ(detokenizer.text(), "🙂🙂");
  EXPECT_EQ(detokenizer.settled(), "");
  detokenizer.add(run.front());
  EXPECT_EQ(detokenizer.text().substr(0, 6), "\xef\xbf\xbd\xef\xbf\xbd");
  detokenizer.add(tokenizer.encode("the", false).back());
  EXPECT_EQ(detokenizer.settled(), detokenizer.text());
}

TEST(Detokenizer, ATokenCostsTheSameHoweverManyThereAre) {
  const Tokenizer tokenizer = made("sentencepiece");
  const auto seconds = [&](int count) {
    const auto start = std::chrono::steady_clock::now();
    Detokenizer detokenizer(tokenizer, Ids{5});
    std::size_t open = 0;
    for (int i = 0; i < count; ++i) {
      detokenizer.add(300 + i % 100);
      open += detokenizer.open().size() + detokenizer.settled().size() % 2;
    }
    EXPECT_LT(open, static_cast<std::size_t>(count) * 10);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  seconds(1000);
  // 50 times the tokens; if each looked at all before it, 2500 times the time.
  EXPECT_LT(seconds(100000), 500 * std::max(seconds(2000), 1e-4));
}

}  // namespace
}  // namespace aftune::generate
