#include "tokenizer/split.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace aftune::tokenizer {
namespace {

using Words = std::vector<std::string>;

Words split(Pattern pattern, std::string_view text) {
  Words words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = match_end(pattern, text, at);
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

Words gpt2(std::string_view text) {
  return split(Pattern::kGpt2, text);
}
Words llama3(std::string_view text) {
  return split(Pattern::kLlama3, text);
}
Words qwen(std::string_view text) {
  return split(Pattern::kQwen, text);
}

TEST(Split, Contractions) {
  EXPECT_EQ(gpt2("I'll we've don't"), (Words{"I", "'ll", " we", "'ve", " don", "'t"}));
  EXPECT_EQ(gpt2("I'LL"), (Words{"I", "'", "LL"}));
  EXPECT_EQ(llama3("I'LL WE'Ve"), (Words{"I", "'LL", " WE", "'Ve"}));
  EXPECT_EQ(llama3("'\u017fa"), (Words{"'\u017f", "a"}));  // the long s folds to s
  EXPECT_EQ(llama3("'xa"), (Words{"'xa"}));
  EXPECT_EQ(llama3("'r"), (Words{"'r"}));
  EXPECT_EQ(llama3("'"), (Words{"'"}));
  EXPECT_EQ(gpt2("'st"), (Words{"'s", "t"}));  // leftmost alternative, not longest
}

TEST(Split, Numbers) {
  EXPECT_EQ(gpt2("a 12345"), (Words{"a", " 12345"}));
  EXPECT_EQ(llama3("a 12345"), (Words{"a", " ", "123", "45"}));
  EXPECT_EQ(qwen("a 123"), (Words{"a", " ", "1", "2", "3"}));
  EXPECT_EQ(llama3("½Ⅷ٣x"), (Words{"½Ⅷ٣", "x"}));
}

TEST(Split, AWordTakesOneCharacterInFront) {
  EXPECT_EQ(llama3("(foo)bar"), (Words{"(foo", ")bar"}));
  EXPECT_EQ(llama3("\tx\u00a0y"), (Words{"\tx", "\u00a0y"}));
  EXPECT_EQ(llama3("\nx"), (Words{"\n", "x"}));
  EXPECT_EQ(llama3("1x"), (Words{"1", "x"}));
  EXPECT_EQ(gpt2("(foo) \tx"), (Words{"(", "foo", ")", " ", "\t", "x"}));
}

TEST(Split, Punctuation) {
  EXPECT_EQ(llama3(" !?\r\n\nx"), (Words{" !?\r\n\n", "x"}));
  EXPECT_EQ(gpt2(" !?\n\nx"), (Words{" !?", "\n", "\n", "x"}));
  EXPECT_EQ(llama3("e\u0301x"), (Words{"e", "\u0301x"}));  // a mark is no letter
}

TEST(Split, WhiteSpace) {
  EXPECT_EQ(gpt2("  a"), (Words{" ", " a"}));
  EXPECT_EQ(gpt2("a  "), (Words{"a", "  "}));
  EXPECT_EQ(gpt2(" \n x"), (Words{" \n", " x"}));
  EXPECT_EQ(llama3(" \n  \n  x"), (Words{" \n  \n", " ", " x"}));  // as far as the last line break
  EXPECT_EQ(llama3("\u2003\u3000!"), (Words{"\u2003", "\u3000", "!"}));
  EXPECT_EQ(llama3("\u200b"), (Words{"\u200b"}));
  EXPECT_EQ(llama3("   "), (Words{"   "}));
}

TEST(Split, EveryPlaceOfEveryTextMatches) {
  const std::vector<std::string> parts = {"a", "1", " ",      "\n",     "\r",    "!",
                                          "'", "s", "\u3000", "\u0301", "\u017f"};
  const std::size_t n = parts.size();
  for (std::size_t code = 0; code < n * n * n * n; ++code) {
    const std::string text =
        parts[code % n] + parts[code / n % n] + parts[code / n / n % n] + parts[code / n / n / n];
    for (const Pattern pattern : {Pattern::kGpt2, Pattern::kLlama3, Pattern::kQwen}) {
      std::size_t at = 0;
      while (at < text.size()) {
        const std::size_t end = match_end(pattern, text, at);
        ASSERT_GT(end, at) << text;
        ASSERT_LE(end, text.size()) << text;
        at = end;
      }
    }
  }
}

TEST(Split, OnlyTheExactPatternsAreKnown) {
  const std::string gpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  EXPECT_EQ(pattern_of(gpt2), Pattern::kGpt2);
  EXPECT_EQ(pattern_of(gpt2 + " "), std::nullopt);
  EXPECT_EQ(pattern_of("(a+)+b"), std::nullopt);
  EXPECT_EQ(pattern_of(""), std::nullopt);
}

}  // namespace
}  // namespace aftune::tokenizer
