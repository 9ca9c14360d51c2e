#include "audit/policy.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

record::Manifest sample() {
  record::Manifest m;
  m.run = std::string(32, 'a');
  m.nonce = "beef";
  m.config = "{}";
  m.data_rows = 100;
  m.recipe.lr = 1e-4;
  m.recipe.steps = 64;
  m.recipe.seed = 7;
  m.grid = {.layers = 8, .tied = true, .layers_per_block = 2, .steps = 64, .steps_per_block = 8};
  return m;
}

std::vector<Reason> check(const std::string& members) {
  return check_policy(parse_policy("{\"version\":1" + (members.empty() ? "" : "," + members) + "}"),
                      sample());
}

void expect_one(const std::string& members, const std::string& where, const std::string& detail) {
  const auto reasons = check(members);
  ASSERT_EQ(reasons.size(), 1u) << members;
  EXPECT_EQ(reasons[0].code, Code::kPolicy);
  EXPECT_EQ(reasons[0].where, where);
  EXPECT_EQ(reasons[0].detail, detail);
}

void expect_refused(const std::string& text, const std::string& part) {
  try {
    parse_policy(text);
    FAIL() << text;
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kUsage);
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(Policy, AcceptsWhatWasAgreed) {
  EXPECT_TRUE(check("").empty());
  EXPECT_TRUE(check(R"("nonce":"beef","data_rows":100,"numerics":["f32"],"max_steps_per_block":8)").empty());
  EXPECT_TRUE(check(R"("recipe":{"lr":1e-4,"steps":{"min":64,"max":64},"seed":"0000000000000007"})").empty());
  EXPECT_TRUE(check(R"("recipe":{"lr":0.0001,"seed":7,"method":"full","packing":false})").empty());
  EXPECT_TRUE(check("\"config\":\"" + to_hex(hash::blake3("{}")) + '"').empty());
}

TEST(Policy, NamesEachContradiction) {
  expect_one(R"("nonce":"dead")", "manifest nonce", "expected dead, found beef");
  expect_one(R"("data_rows":101)", "manifest data rows", "expected 101, found 100");
  expect_one(R"("recipe":{"lr":1e-5})", "manifest recipe.lr", "expected 1e-05, found 0.0001");
  expect_one(R"("recipe":{"steps":{"min":65}})", "manifest recipe.steps", "expected at least 65, found 64");
  expect_one(R"("recipe":{"lr":{"max":0.00009}})", "manifest recipe.lr",
             "expected at most 9e-05, found 0.0001");
  expect_one(R"("recipe":{"optimizer":"sgd"})", "manifest recipe.optimizer", "expected sgd, found adamw");
  expect_one(R"("recipe":{"packing":true})", "manifest recipe.packing", "expected true, found false");
  expect_one(R"("max_layers_per_block":1)", "manifest layers_per_block", "expected at most 1, found 2");
  expect_one(R"("numerics":["i14"])", "manifest numerics", "\"f32\" is not allowed");
  const std::string zeros(64, '0');
  for (const std::string field : {"base_root", "config", "tokenizer", "data_root"})
    EXPECT_LE(check('"' + field + "\":\"" + std::string(63, '0') + "1\"").size(), 1u);
  EXPECT_EQ(check("\"base_root\":\"" + std::string(63, '0') + "1\"").size(), 1u);
  EXPECT_EQ(check(R"("nonce":"dead","recipe":{"lr":1,"steps":1})").size(), 3u);
}

TEST(Policy, IsStrict) {
  expect_refused("{}", "\"version\" is missing");
  expect_refused(R"({"version":2})", "\"version\"");
  expect_refused(R"({"version":1,"learning_rate":1})", "\"learning_rate\" is not a known member");
  expect_refused(R"({"version":1,"recipe":{"rate":1}})", "\"rate\" is not a known member");
  expect_refused(R"({"version":1,"recipe":{"lr":"1e-4"}})", "\"lr\" is not a number");
  expect_refused(R"({"version":1,"recipe":{"steps":1.5}})", "\"steps\" is not an integer");
  expect_refused(R"({"version":1,"recipe":{"steps":{}}})", "pins nothing");
  expect_refused(R"({"version":1,"recipe":{"steps":{"least":1}}})", "\"least\" is not a known member");
  expect_refused(R"({"version":1,"recipe":{"packing":{"min":true}}})", "no range");
  expect_refused(R"({"version":1,"recipe":{"grad_shards":4294967297}})", "\"grad_shards\"");
  expect_refused(R"({"version":1,"numerics":[]})", "allows nothing");
  expect_refused(R"({"version":1,"nonce":"XY"})", "");
  expect_refused(R"({"version":1,"version":1})", "duplicate");
}

TEST(Policy, ListsWhatNothingPins) {
  EXPECT_EQ(unpinned(nullptr), std::vector<std::string>{"the whole manifest (no policy)"});
  const Policy policy = parse_policy(R"({"version":1,"nonce":"beef","recipe":{"lr":1e-4}})");
  const auto open = unpinned(&policy);
  const auto has = [&](const char* name) { return std::find(open.begin(), open.end(), name) != open.end(); };
  EXPECT_FALSE(has("nonce or run"));
  EXPECT_FALSE(has("recipe.lr"));
  EXPECT_TRUE(has("recipe.seed"));
  EXPECT_TRUE(has("base_root"));
  EXPECT_EQ(open.size(), 7u + 19u);
}

}  // namespace
}  // namespace aftune::audit
