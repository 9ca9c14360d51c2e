#include "tokenizer/unicode.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tokenizer/utf8.h"

namespace aftune::tokenizer {
namespace {

std::string utf8(std::u32string_view codes) {
  std::string out;
  for (const char32_t code : codes) append_code_point(out, code);
  return out;
}

std::string nfc_of(std::u32string_view codes) {
  return nfc(utf8(codes));
}

TEST(Utf8, EveryCodePointSurvivesARoundTrip) {
  for (char32_t code = 0; code < 0x110000; ++code) {
    if (code >= 0xd800 && code < 0xe000) continue;
    std::string text = "x";
    append_code_point(text, code);
    std::size_t at = 1;
    ASSERT_EQ(next_code_point(text, at), code);
    ASSERT_EQ(at, text.size());
    ASSERT_EQ(previous_code_point(text, text.size()), 1u);
    ASSERT_EQ(replace_invalid(text), text);
  }
}

// The expected strings are those of Python's bytes.decode(errors="replace").
TEST(Utf8, EachMaximalSubpartBecomesOneReplacement) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(replace_invalid("a\x80z"), "a" + r + "z");
  EXPECT_EQ(replace_invalid("\xc0\x80"), r + r);                  // overlong
  EXPECT_EQ(replace_invalid("\xe0\x80\x80"), r + r + r);          // overlong
  EXPECT_EQ(replace_invalid("\xed\xa0\x80"), r + r + r);          // a surrogate
  EXPECT_EQ(replace_invalid("\xf4\x90\x80\x80"), r + r + r + r);  // past U+10FFFF
  EXPECT_EQ(replace_invalid("\xf5z\xff"), r + "z" + r);
  EXPECT_EQ(replace_invalid("\xe6\x97"), r);  // cut short
  EXPECT_EQ(replace_invalid("\xf0\x9f\x99z"), r + "z");
  EXPECT_EQ(replace_invalid("\xf0\x9f\xe6\x97\xa5"), r + "\xe6\x97\xa5");
  EXPECT_EQ(replace_invalid("\xc3\xc3\xa9"), r + "\xc3\xa9");
}

TEST(Unicode, Classes) {
  EXPECT_EQ(classes_of('a'), kLetter | kWord);
  EXPECT_EQ(classes_of('7'), kNumber | kWord);
  EXPECT_EQ(classes_of('_'), kWord);
  EXPECT_EQ(classes_of('-'), 0);
  EXPECT_EQ(classes_of(0), 0);
  EXPECT_EQ(classes_of(0xbd), kNumber);            // one half
  EXPECT_EQ(classes_of(0x301), kWord);             // a mark
  EXPECT_EQ(classes_of(0x4e00), kLetter | kWord);  // an ideograph, though it means one
  EXPECT_EQ(classes_of(0x3007), kNumber | kWord);  // ideographic zero
  EXPECT_EQ(classes_of(0x200b), 0);                // zero width space is not white space
  EXPECT_EQ(classes_of(0x10ffff), 0);
  EXPECT_EQ(classes_of(0x323af), kLetter | kWord);  // the last ideograph of extension H
  EXPECT_EQ(classes_of(0x323b0), 0);
}

TEST(Unicode, WhiteSpaceIsExactlyTheProperty) {
  const std::u32string spaces =
      U"\t\n\v\f\r "
      U"\x85\xa0\x1680\x2000\x2001\x2002\x2003\x2004\x2005\x2006\x2007\x2008\x2009\x200a\x2028\x2029"
      U"\x202f\x205f\x3000";
  for (char32_t code = 0; code < 0x110000; ++code)
    ASSERT_EQ((classes_of(code) & kSpace) != 0, spaces.find(code) != std::u32string::npos)
        << std::hex << static_cast<std::uint32_t>(code);
}

TEST(Unicode, NfcComposes) {
  EXPECT_EQ(nfc_of(U"e\x301"), utf8(U"\xe9"));
  EXPECT_EQ(nfc_of(U"a\x328\x301"), utf8(U"\x105\x301"));
  EXPECT_EQ(nfc_of(U"a\x301\x328"), utf8(U"\x105\x301"));     // ordered by combining class first
  EXPECT_EQ(nfc_of(U"a\x323\x302"), utf8(U"\x1ead"));         // in two steps
  EXPECT_EQ(nfc_of(U"\x1100\x1161\x11a8"), utf8(U"\xac01"));  // Hangul
  EXPECT_EQ(nfc_of(U"\xac00\x11a7"), utf8(U"\xac00\x11a7"));  // U+11A7 is not a trailing consonant
  EXPECT_EQ(nfc_of(U"\x9c7\x9be"), utf8(U"\x9cb"));           // two starters
}

TEST(Unicode, NfcReplacesSingletonsAndExclusions) {
  EXPECT_EQ(nfc_of(U"\x212b\x2126\x212a"), utf8(U"\xc5\x3a9K"));
  EXPECT_EQ(nfc_of(U"\x958"), utf8(U"\x915\x93c"));
  EXPECT_EQ(nfc_of(U"\x2f800"), utf8(U"\x4e3d"));
  EXPECT_EQ(nfc_of(U"\x1d160"), utf8(U"\x1d158\x1d165\x1d16e"));
}

TEST(Unicode, NfcBlocksWhatStandsBetween) {
  EXPECT_EQ(nfc_of(U"a\x5ae\x301"), utf8(U"\xe1\x5ae"));  // 228 < 230: not blocked
  EXPECT_EQ(nfc_of(U"a\x300\x301"), utf8(U"\xe0\x301"));  // the first one composes
  EXPECT_EQ(nfc_of(U"q\x300\x301"), utf8(U"q\x300\x301"));
  EXPECT_EQ(nfc_of(U"a\x200c\x301"), utf8(U"a\x200c\x301"));  // a starter between
  EXPECT_EQ(nfc_of(U"\x301z\x301"), utf8(U"\x301\x17a"));
}

TEST(Unicode, NfcIsIdempotentAndLeavesLatin1Alone) {
  EXPECT_EQ(nfc_of(U"plain \xe9\xff\x2ff"), utf8(U"plain \xe9\xff\x2ff"));
  for (char32_t code = 0; code < 0x30000; ++code) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const char32_t text[] = {'e', code, 0x301, code};
    const std::string once = nfc_of(std::u32string_view(text, 4));
    ASSERT_EQ(nfc(once), once) << std::hex << static_cast<std::uint32_t>(code);
  }
}

TEST(Unicode, AMillionMarksAreSortedQuickly) {
  std::u32string marks = U"a";
  for (int i = 0; i < 1'000'000; ++i) marks.push_back(i % 2 == 0 ? 0x301 : 0x327);
  const std::string sorted = nfc_of(marks);
  EXPECT_EQ(sorted.substr(0, 4), utf8(U"\xe1\x327"));
}

TEST(UnicodeTables, AreSorted) {
  EXPECT_EQ(kClassChanges.front().first, 0u);
  EXPECT_TRUE(std::ranges::is_sorted(kClassChanges, std::ranges::less_equal{}, &ClassChange::first));
  EXPECT_TRUE(std::ranges::is_sorted(kCombiningRanges, {}, &CombiningRange::first));
  EXPECT_TRUE(std::ranges::is_sorted(kDecompositions, {}, &Decomposition::composed));
  const auto key = [](const Composition& c) { return std::pair(c.first, c.second); };
  EXPECT_TRUE(std::ranges::is_sorted(kCompositions, {}, key));
}

}  // namespace
}  // namespace aftune::tokenizer
