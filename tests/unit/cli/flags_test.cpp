#include "cli/flags.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>

#include "base/error.h"
#include "cli/help.h"

namespace aftune::cli {
namespace {

/// The message of the Error that parsing ends with, or "" if it succeeds.
std::string outcome(CLI::App& app, std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app.parse(arguments);
    return "";
  } catch (const Error& e) {
    return e.what();
  } catch (const CLI::ParseError& e) {
    return std::string("CLI11: ") + e.what();
  }
}

TEST(ParseReal, TakesAWholeFiniteDecimal) {
  EXPECT_EQ(parse_real("--lr", "1e-4"), 1e-4);
  EXPECT_EQ(parse_real("--lr", "-0.5"), -0.5);
  for (const char* bad : {"", "1e-4x", " 1", "+1", "nan", "inf", "-inf", "1e999", "0x1p3", "1,5"})
    EXPECT_THROW(parse_real("--lr", bad), Error) << bad;
}

TEST(ParseInteger, TakesAWholeInteger) {
  EXPECT_EQ(parse_integer("--steps", "-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  for (const char* bad : {"", "8x", "1.0", "1e3", " 8", "9223372036854775808"})
    EXPECT_THROW(parse_integer("--steps", bad), Error) << bad;
}

TEST(Flags, StoreWhatTheyAreGiven) {
  CLI::App app;
  int n = 3;
  double x = 0.5;
  std::uint64_t seed = 0, bytes = 0;
  std::string name = "one", digits;
  fs::path file;
  integer(app, "--n", n, "a number", 1, 9);
  real(app, "--x", x, "a real", 0, 1);
  word64(app, "--seed", seed, "a seed");
  size(app, "--bytes", bytes, "bytes");
  choice(app, "--name", {"one", "two"}, name, "a name");
  hex(app, "--hex", digits, 2, "digits");
  path(app, "--file", "FILE", file, "a file");
  EXPECT_EQ(outcome(app, {"--n", "7", "--x=0.25", "--seed", "18446744073709551615", "--bytes", "3M", "--name",
                          "two", "--hex", "00ff", "--file", "-"}),
            "");
  EXPECT_EQ(n, 7);
  EXPECT_EQ(x, 0.25);
  EXPECT_EQ(seed, ~std::uint64_t{0});
  EXPECT_EQ(bytes, std::uint64_t{3} << 20);
  EXPECT_EQ(name, "two");
  EXPECT_EQ(digits, "00ff");
  EXPECT_EQ(file, "-");
}

TEST(Flags, RefuseWhatIsOutOfRangeAndLeaveTheDefault) {
  for (const auto& [value, why] : std::vector<std::pair<std::string, std::string>>{
           {"0", "--n: 0 is less than 1"},
           {"10", "--n: 10 is more than 9"},
           {"99999999999999999999", "--n: 99999999999999999999 is out of range"},
           {"4294967297", "--n: 4294967297 is more than 9"},
           {"--quiet", "--n needs a value"}}) {
    CLI::App app;
    int n = 3;
    integer(app, "--n", n, "a number", 1, 9);
    EXPECT_EQ(outcome(app, {"--n", value}), why);
    EXPECT_EQ(n, 3);
  }
}

TEST(Flags, AByteCountDoesNotOverflow) {
  CLI::App app;
  std::uint64_t bytes = 0;
  size(app, "--bytes", bytes, "bytes");
  EXPECT_EQ(outcome(app, {"--bytes", "16777215T"}), "");
  EXPECT_EQ(bytes, std::uint64_t{16777215} << 40);
  EXPECT_NE(outcome(app, {"--bytes", "16777216T"}), "");
  EXPECT_NE(outcome(app, {"--bytes", "T"}), "");
  EXPECT_NE(outcome(app, {"--bytes", "-1K"}), "");
}

TEST(Flags, AreGivenOnce) {
  CLI::App app;
  bool json_flag = false;
  int n = 3;
  json(app, json_flag);
  integer(app, "--n", n, "a number", 1, 9);
  EXPECT_NE(outcome(app, {"--n", "1", "--n", "2"}), "");
  EXPECT_NE(outcome(app, {"--json", "--json"}), "");
  EXPECT_NE(outcome(app, {"--json=yes"}), "");
}

TEST(Help, HasOneLineForEachFlagWithItsDefault) {
  CLI::App app("Does things.");
  app.set_help_flag("--help", "print this help");
  int n = 3;
  fs::path file;
  integer(app, "--n", n, "a number", 1, 9);
  path(app, "--file", "FILE", file, "a file").required();
  EXPECT_EQ(help(app, "tool"),
            "usage: tool --file FILE [flags]\n\nDoes things.\n\nflags:\n"
            "  --help                  print this help\n"
            "  --n N                   a number [3]\n"
            "  --file FILE             a file\n");
}

TEST(Nearest, SuggestsOnlyWhatIsNear) {
  CLI::App app;
  int n = 1;
  integer(app, "--batch-size", n, "rows", 1, 9);
  integer(app, "--seed", n, "seed", 1, 9);
  EXPECT_EQ(nearest(app, "--batchsize"), "--batch-size");
  EXPECT_EQ(nearest(app, "--batch"), "--batch-size");
  EXPECT_EQ(nearest(app, "--sede=4"), "--seed");
  EXPECT_EQ(nearest(app, "--sed=4"), "--seed");
  EXPECT_EQ(nearest(app, "--frobnicate"), "");
  EXPECT_EQ(nearest(app, std::string(1000, '-')), "");
}

}  // namespace
}  // namespace aftune::cli
