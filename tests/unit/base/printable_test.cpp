#include "base/printable.h"

#include <gtest/gtest.h>

#include "base/error.h"

#include "base/bytes.h"

namespace aftune {
namespace {

constexpr std::string_view kReplaced = "\xef\xbf\xbd";

TEST(Visible, KeepsTextOfEveryScript) {
  for (const std::string_view text :
       {"", "plain <text> & more", "\xc3\xa9", "\xe6\xbc\xa2", "\xf0\x9f\x98\x80", "\xc2\xa0"})
    EXPECT_EQ(visible(text), text);
}

TEST(Visible, ReplacesWhatIsNoText) {
  const std::string_view kBad[] = {
      "\x01",         "\n",           "\x1b",
      "\x7f",         "\xc2\x85",                           // controls
      "\xe2\x80\xa8", "\xe2\x80\xae", "\xe2\x81\xa6",       // line separator, direction
      "\xef\xbf\xbe", "\xef\xb7\x90", "\xf0\x9f\xbf\xbf"};  // noncharacters
  for (const std::string_view bad : kBad) EXPECT_EQ(visible(cat('a', bad, 'b')), cat('a', kReplaced, 'b'));
  EXPECT_EQ(visible(std::string_view("\0", 1)), kReplaced);
}

// One mark for each byte that belongs to no character, and the next character is not lost.
TEST(Visible, ReplacesIllFormedBytesOneByOne) {
  for (const std::string_view bad :
       {"\xff", "\xc3", "\x80", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    std::string expected;
    for (std::size_t i = 0; i < bad.size(); ++i) expected += kReplaced;
    EXPECT_EQ(visible(std::string(bad) + "b"), expected + "b");
  }
}

TEST(Visible, IsAlwaysUtf8) {
  for (int a = 0; a < 256; ++a)
    for (int b = 0; b < 256; ++b) {
      const std::string text = {static_cast<char>(a), static_cast<char>(b), 'c'};
      EXPECT_TRUE(is_utf8(visible(text)));
      EXPECT_EQ(visible(visible(text)), visible(text));
    }
}

}  // namespace
}  // namespace aftune
