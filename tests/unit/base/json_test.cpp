#include "base/json.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace aftune {
namespace {

TEST(Json, RefusesDuplicateKeysAndDepth) {
  EXPECT_THROW(parse_json(R"({"a":1,"a":2})"), Error);
  EXPECT_THROW(parse_json(std::string(100, '[') + std::string(100, ']')), Error);
  EXPECT_EQ(parse_json(R"({"a":{"a":1}})")["a"]["a"], 1);
}

TEST(Json, CanonicalFormIsItsOwnInverse) {
  const std::string text = R"({"a":[1,-2,true,null],"b":"\u0001\"\\/é","c":{}})";
  EXPECT_EQ(canonical_json(parse_canonical(text)), text);
  EXPECT_THROW(parse_canonical(R"({"b":1, "a":2})"), Error);
  EXPECT_THROW(parse_canonical("1.0"), Error);
  EXPECT_THROW(parse_canonical("9007199254740992"), Error);
}

TEST(Json, FieldsNamesWhatIsWrong) {
  const Json json = parse_json(R"({"n":3,"extra":1})");
  Fields fields(json, "thing");
  EXPECT_EQ(fields.integer("n", 0, 5), 3);
  try {
    fields.done();
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "thing: \"extra\" is not a known member");
  }
}

}  // namespace
}  // namespace aftune
