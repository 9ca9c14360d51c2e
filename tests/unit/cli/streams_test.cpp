#include "cli/streams.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace aftune::cli {
namespace {

TEST(JsonText, WritesTheShortestDecimalThatReadsBack) {
  EXPECT_EQ(json_text(0.1), "0.1");
  EXPECT_EQ(json_text(1e-5), "1e-05");
  EXPECT_EQ(json_text(1.0 / 3), "0.3333333333333333");
  EXPECT_EQ(json_text(9007199254740993.0), "9007199254740992");
  EXPECT_EQ(json_text(5e-324), "5e-324");
  EXPECT_EQ(json_text(std::numeric_limits<double>::quiet_NaN()), "null");
}

TEST(JsonText, IsOneLineOfAnyNesting) {
  const Json value = {
      {"list", {1, 2.5, "a\n\"b\""}}, {"none", nullptr}, {"empty", Json::object()}, {"no", false}};
  EXPECT_EQ(json_text(value), R"({"empty":{},"list":[1,2.5,"a\n\"b\""],"no":false,"none":null})");
  EXPECT_EQ(Json::parse(json_text(value)), value);
  EXPECT_EQ(json_text(Json::array()), "[]");
}

TEST(Shortest, ABinary32IsShownAsItsOwnDecimal) {
  EXPECT_EQ(json_text(shortest(0.1f)), "0.1");
  EXPECT_EQ(json_text(shortest(5.4888773f)), "5.4888773");
  // Whatever the bits, what is printed reads back as the same binary32.
  for (std::uint32_t bits = 1; bits < 0x7f800000u; bits += 104729 * 64) {
    const float value = std::bit_cast<float>(bits);
    EXPECT_EQ(std::strtof(json_text(shortest(value)).c_str(), nullptr), value);
  }
}

}  // namespace
}  // namespace aftune::cli
