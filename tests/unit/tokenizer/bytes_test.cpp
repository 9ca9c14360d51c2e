#include <gtest/gtest.h>

#include "base/files.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/utf8.h"

namespace aftune::tokenizer {
namespace {

Tokenizer read(const std::string& flavour) {
  return Tokenizer::read(fs::path(AFTUNE_TESTS_DIR) / "vectors/tokenizer" / flavour / "tokenizer.json");
}

// What the tokens of a text stand for is that text, also where a token is a part of a character.
TEST(BytesOf, TokensMakeTheTextAgain) {
  const std::string text = "well, d\xc3\xa9j\xc3\xa0 vu \xf0\x9f\x98\x80 \xe4\xb8\xad\n\tend";
  for (const char* flavour : {"gpt2", "gpt2-prefix", "llama3", "qwen", "sentencepiece"}) {
    const Tokenizer tokenizer = read(flavour);
    std::string joined;
    for (const std::int32_t id : tokenizer.encode(text, false)) joined += tokenizer.bytes_of(id);
    // Some put a space before it.
    EXPECT_TRUE(joined == text || joined == " " + text) << flavour << ": " << joined;
  }
}

TEST(BytesOf, AnUnknownIdStandsForNothing) {
  const Tokenizer tokenizer = read("gpt2");
  EXPECT_EQ(tokenizer.bytes_of(-1), "");
  EXPECT_EQ(tokenizer.bytes_of(tokenizer.size()), "");
}

}  // namespace
}  // namespace aftune::tokenizer
