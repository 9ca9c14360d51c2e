#include "http/address.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace aftune::http {
namespace {

std::string read(std::string_view text) {
  return Address::parse(text).to_text();
}

TEST(AddressTest, IsLoopbackUnlessItSaysMore) {
  EXPECT_EQ(read("8080"), "127.0.0.1:8080");
  EXPECT_EQ(read(":0"), "127.0.0.1:0");
  EXPECT_EQ(read("localhost:1"), "127.0.0.1:1");
  EXPECT_EQ(read("0.0.0.0:65535"), "0.0.0.0:65535");
  EXPECT_EQ(read("[::1]:80"), "[::1]:80");
  EXPECT_TRUE(Address::parse("127.5.0.1:1").is_loopback());
  EXPECT_TRUE(Address::parse("[::1]:1").is_loopback());
  EXPECT_FALSE(Address::parse("0.0.0.0:1").is_loopback());
  EXPECT_FALSE(Address::parse("[::]:1").is_loopback());
}

TEST(AddressTest, RefusesWhatIsNone) {
  for (const char* text : {"", ":", "x", "65536", "-1", "80x", "127.0.0.1", "127.0.0.1:", "example.org:80",
                           "::1:80", "[127.0.0.1]:80", "[]:80", "127.0.0.1:80:81", "127.0.0.1:+80"})
    EXPECT_THROW(Address::parse(text), Error) << text;
}

TEST(AddressTest, ListensAtAnyPortAndAtNoneTwice) {
  const ListeningSocket first(Address::parse("0"));
  EXPECT_GT(first.address().port, 0);
  EXPECT_THROW(ListeningSocket(first.address()), Error);
}

}  // namespace
}  // namespace aftune::http
