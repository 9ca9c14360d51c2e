#include <gtest/gtest.h>

#include <ctime>
#include <limits>

#include "base/error.h"
#include "base/json.h"

namespace aftune {
namespace {

template <class Body>
std::string refusal(Fault fault, Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), fault) << e.what();
    EXPECT_EQ(std::string_view(e.what()).find('\n'), std::string_view::npos);
    EXPECT_LT(std::string_view(e.what()).size(), 200u);
    return e.what();
  }
  return "accepted";
}

std::string parse_refusal(std::string_view text, const JsonLimits& limits = {}) {
  return refusal(Fault::kEvidence, [&] { parse_json(text, limits); });
}

std::string canonical_refusal(std::string_view text) {
  return refusal(Fault::kEvidence, [&] { parse_canonical(text); });
}

TEST(Json, RefusesWhatIsNotOneText) {
  EXPECT_EQ(parse_refusal(""), "not JSON: syntax error at byte 1");
  for (const char* bad :
       {" ",       "{",         "[1,]",    "{\"a\":1,}", "{\"a\"}",  "1 2",           "nul",
        "01",      "+1",        "1.",      ".5",         "'a'",      "{a:1}",         "[1] x",
        "\"\\x\"", "\"\\u12\"", "// c\n1", "NaN",        "Infinity", "\xef\xbb\xbf{", "\"\t\""})
    EXPECT_NE(parse_refusal(bad), "accepted") << bad;
  EXPECT_EQ(parse_refusal("\"\xff\""), "JSON text is not UTF-8");
  EXPECT_EQ(parse_refusal("1e999"), "not JSON: a number is out of range");
  EXPECT_NE(parse_refusal("\"\\ud800\""), "accepted");  // half a surrogate pair is no text
}

TEST(Json, IsBoundedInBytesDepthAndValues) {
  EXPECT_EQ(parse_refusal("[1,2]", {.max_bytes = 4}), "JSON text larger than 4 bytes");
  EXPECT_EQ(parse_refusal("[[[]]]", {.max_depth = 2}), "JSON nested deeper than 2");
  EXPECT_EQ(parse_refusal("[[]]", {.max_depth = 2}), "accepted");
  EXPECT_EQ(parse_refusal(std::string(1000000, '[')), "JSON nested deeper than 64");
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  EXPECT_EQ(parse_refusal(deep), "JSON nested deeper than 64");
  EXPECT_EQ(parse_refusal("[1,2,3,4,5]", {.max_values = 4}), "JSON of more than 4 values");
}

// The time of a list of objects is that of its text, not the square: a second or so, and not minutes.
TEST(Json, ReadsALongListOfObjectsInOneGo) {
  std::string list = "[{}";
  for (int i = 1; i < 400'000; ++i) list += ",{}";
  const std::clock_t begin = std::clock();
  EXPECT_EQ(parse_json(list + ']').size(), 400'000u);
  std::string object = "{\"a\":{}";
  for (int i = 1; i < 400'000; ++i) object += cat(",\"", i, "\":{}");
  EXPECT_EQ(parse_json(object + '}').size(), 400'000u);
  EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 10);
}

TEST(Json, DuplicateKeysAreFoundAtEveryDepthAndSpelling) {
  EXPECT_EQ(parse_refusal(R"([{"a":{"b":1,"b":1}}])"), "duplicate JSON key \"b\"");
  EXPECT_EQ(parse_refusal(R"({"a":1,"\u0061":1})"), "duplicate JSON key \"a\"");
  EXPECT_EQ(parse_refusal(R"({"":1,"":1})"), "duplicate JSON key \"\"");
  EXPECT_EQ(parse_refusal(R"([{"a":1},{"a":1}])"), "accepted");
  EXPECT_EQ(parse_refusal(R"({"a":{"a":{"a":1}},"b":{"a":1}})"), "accepted");
}

TEST(Json, MessagesShowHostileKeysHarmlessly) {
  EXPECT_EQ(parse_refusal("{\"a\\n\\u001b[31m\":1,\"a\\n\\u001b[31m\":1}"), "duplicate JSON key \"a??[31m\"");
  const std::string key(5000, 'k');
  EXPECT_EQ(parse_refusal("{\"" + key + "\":1,\"" + key + "\":1}"),
            "duplicate JSON key \"" + key.substr(0, 60) + "...\"");
  EXPECT_NE(parse_refusal('"' + std::string(100000, 'x')), "accepted");
}

TEST(CanonicalJson, WritesTheFormOfRfc8785) {
  Json value;
  value["b"] = {1, -1, true, nullptr};
  value["a"] = "\x01\b\t\n\f\r\x1f \"\\/\x7f\xc3\xa9\xe2\x80\xa8\xf0\x9f\x94\x91";
  value["A"] = Json::object();
  value["a0"] = Json::array();
  EXPECT_EQ(
      canonical_json(value),
      "{\"A\":{},\"a\":\"\\u0001\\b\\t\\n\\f\\r\\u001f \\\"\\\\/\x7f\xc3\xa9\xe2\x80\xa8\xf0\x9f\x94\x91\","
      "\"a0\":[],\"b\":[1,-1,true,null]}");
  EXPECT_EQ(canonical_json(kMaxJsonInteger), "9007199254740991");
  EXPECT_EQ(canonical_json(-kMaxJsonInteger), "-9007199254740991");
}

TEST(CanonicalJson, RefusesToWriteWhatReadersDisagreeOn) {
  const auto refused = [](const Json& value) {
    return refusal(Fault::kUsage, [&] { canonical_json(value); });
  };
  EXPECT_EQ(refused(1.5), "canonical JSON holds no floats or binary values");
  EXPECT_EQ(refused(Json::array({Json::object({{"a", 1.0}})})),
            "canonical JSON holds no floats or binary values");
  EXPECT_EQ(refused(Json::binary({1, 2})), "canonical JSON holds no floats or binary values");
  EXPECT_EQ(refused(kMaxJsonInteger + 1), "integer 9007199254740992 is beyond 2^53 - 1");
  EXPECT_EQ(refused(-kMaxJsonInteger - 1), "integer -9007199254740992 is beyond 2^53 - 1");
  EXPECT_EQ(refused(~std::uint64_t{0}), "integer 18446744073709551615 is beyond 2^53 - 1");
  EXPECT_EQ(refused("\xff"), "a string is not UTF-8");
  EXPECT_EQ(refused(Json{{"\xc3\xa9", 1}}), "object key is not ASCII");
}

TEST(CanonicalJson, ParsesOnlyWhatItWouldWrite) {
  for (const char* good :
       {"null", "0", "-5", "\"\"", "[]", "{}", R"({"a":[1,{"b":"c"}]})", "9007199254740991"})
    EXPECT_EQ(canonical_refusal(good), "accepted") << good;
  for (const char* bad :
       {" 0", "0 ", "0\n", "-0", "[1, 2]", "{\"b\":1,\"a\":2}", R"("\u0041")", R"("\/")", R"("\u000A")",
        "1e1", "1.0", "9007199254740992", "-9007199254740992", "{\"\xc3\xa9\":1}", R"("\u00e9")"})
    EXPECT_TRUE(canonical_refusal(bad).starts_with("not canonical JSON")) << bad;
}

const Json& sample() {
  static const Json json = parse_json(
      R"({"i":5,"neg":-5,"big":9007199254740992,"huge":18446744073709551615,"f":1.0,"t":"text","b":true,)"
      R"("x":"3f800000","u":"0000000000000007","d":")" +
      std::string(64, 'a') + R"(","l":[")" + std::string(64, 'b') + R"("],"bad":["x",1],"o":{}})");
  return json;
}

template <class Read>
std::string field_refusal(Read&& read) {
  return refusal(Fault::kEvidence, [&] {
    Fields fields(sample(), "thing");
    read(fields);
  });
}

TEST(Fields, ReadEachType) {
  Fields fields(sample(), "thing");
  EXPECT_TRUE(fields.has("i"));
  EXPECT_FALSE(fields.has("absent"));
  EXPECT_EQ(fields.integer("i", 5, 5), 5);
  EXPECT_EQ(fields.integer("neg", -5), -5);
  EXPECT_EQ(fields.text("t"), "text");
  EXPECT_TRUE(fields.boolean("b"));
  EXPECT_EQ(fields.float_bits("x"), 1.0f);
  EXPECT_EQ(fields.u64_bits("u"), 7u);
  EXPECT_EQ(to_hex(fields.digest("d")), std::string(64, 'a'));
  EXPECT_EQ(fields.digests("l", 1).size(), 1u);
  EXPECT_TRUE(fields.object("o").empty());
}

TEST(Fields, NameWhatIsWrong) {
  EXPECT_EQ(field_refusal([](Fields& f) { f.at("no"); }), "thing: \"no\" is missing");
  EXPECT_EQ(field_refusal([](Fields& f) { f.text("i"); }), "thing: \"i\" is not a string");
  EXPECT_EQ(field_refusal([](Fields& f) { f.text("t", 3); }), "thing: \"t\" is too long");
  EXPECT_EQ(field_refusal([](Fields& f) { f.boolean("i"); }), "thing: \"i\" is not true or false");
  EXPECT_EQ(field_refusal([](Fields& f) { f.integer("t", 0); }), "thing: \"t\" is not an integer");
  EXPECT_EQ(field_refusal([](Fields& f) { f.integer("f", 0); }), "thing: \"f\" is not an integer");
  EXPECT_EQ(field_refusal([](Fields& f) { f.integer("i", 6); }),
            "thing: \"i\" is 5, not within 6 and 9007199254740991");
  EXPECT_EQ(field_refusal([](Fields& f) { f.integer("neg", 0, 9); }),
            "thing: \"neg\" is -5, not within 0 and 9");
  EXPECT_EQ(field_refusal([](Fields& f) { f.integer("big", 0); }), "thing: \"big\" is beyond 2^53 - 1");
  EXPECT_EQ(field_refusal([](Fields& f) { f.integer("huge", -1); }), "thing: \"huge\" is beyond 2^53 - 1");
  EXPECT_EQ(field_refusal([](Fields& f) { f.float_bits("t"); }),
            "thing: \"t\": expected 8 hex digits, found 4");
  EXPECT_EQ(field_refusal([](Fields& f) { f.double_bits("x"); }),
            "thing: \"x\": expected 16 hex digits, found 8");
  EXPECT_EQ(field_refusal([](Fields& f) { f.digest("t"); }),
            "thing: \"t\": a digest is 64 hex digits, found 4 characters");
  EXPECT_EQ(field_refusal([](Fields& f) { f.digests("l", 2); }), "thing: \"l\" has 1 entries, not 2");
  EXPECT_EQ(field_refusal([](Fields& f) { f.digests("bad", 2); }),
            "thing: \"bad\": a digest is 64 hex digits, found 1 characters");
  EXPECT_EQ(field_refusal([](Fields& f) { f.array("o"); }), "thing: \"o\" is not an array");
  EXPECT_EQ(field_refusal([](Fields& f) { f.object("l"); }), "thing: \"l\" is not an object");
  EXPECT_EQ(refusal(Fault::kEvidence, [] { Fields(Json::array(), "thing"); }), "thing: not a JSON object");
}

}  // namespace
}  // namespace aftune
