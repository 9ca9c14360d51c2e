#include "http/bearer_tokens.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "scratch.h"

namespace aftune::http {
namespace {

using testing_support::Scratch;

class BearerTokensTest : public testing::Test {
 protected:
  BearerTokens read(std::string_view text, unsigned mode = 0600) {
    write_file(scratch_ / "tokens", text, mode);
    return BearerTokens::read(scratch_ / "tokens");
  }
  Scratch scratch_{"tokens"};
};

TEST_F(BearerTokensTest, AllowsWhatIsInTheFile) {
  const BearerTokens tokens = read("# clients\n\nfirst-0123456789abcdef\nsecond-0123456789abcdef");
  EXPECT_TRUE(tokens.allow("Bearer first-0123456789abcdef"));
  EXPECT_TRUE(tokens.allow("bearer second-0123456789abcdef"));
  for (const char* other :
       {"", "Bearer", "Bearer ", "Bearer # clients", "first-0123456789abcdef", "Basic first-0123456789abcdef",
        "Bearer first-0123456789abcde", "Bearer first-0123456789abcdef ", "Bearer  first-0123456789abcdef"})
    EXPECT_FALSE(tokens.allow(other)) << other;
}

TEST_F(BearerTokensTest, RefusesFilesThatWouldProtectNothing) {
  const std::string good = "first-0123456789abcdef\n";
  EXPECT_THROW(read(good, 0640), Error);
  EXPECT_THROW(read(good, 0604), Error);
  EXPECT_THROW(read(""), Error);
  EXPECT_THROW(read("# none\n"), Error);
  EXPECT_THROW(read("short\n"), Error);
  EXPECT_THROW(read("two words-0123456789abcdef\n"), Error);
  EXPECT_THROW(read("carriage-return-0123456789\r\n"), Error);
}

}  // namespace
}  // namespace aftune::http
