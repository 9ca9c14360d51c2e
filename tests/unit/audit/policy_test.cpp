#include "audit/policy.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

record::Manifest sample() {
  record::Manifest m;
  m.run = std::string(32, 'a');
  m.nonce = "beef";
  m.config = "{}";
  m.data_rows = 100;
  m.template_ = "{{ x }}";
  m.software = "aftune 0.1.0";
  m.created = 10;
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
  EXPECT_TRUE(check(R"("data_rows":{"min":100},"created":{"max":10},"eval_rows":0,"hiding":false)").empty());
  EXPECT_TRUE(check("\"template\":\"" + to_hex(hash::blake3("{{ x }}")) + '"').empty());
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
  expect_one(R"("software":"aftune 9")", "manifest software", "expected aftune 9, found aftune 0.1.0");
  expect_one(R"("created":{"min":11})", "manifest created", "expected at least 11, found 10");
  expect_one(R"("data_rows":{"min":1,"max":99})", "manifest data rows", "expected at most 99, found 100");
  expect_one("\"template\":\"" + to_hex(hash::blake3("other")) + '"', "manifest template",
             cat("expected ", to_hex(hash::blake3("other")), ", found ", to_hex(hash::blake3("{{ x }}"))));
  expect_one(R"("eval_rows":3)", "manifest eval rows", "expected 3, found 0");
  expect_one(R"("eval_every":{"min":1})", "manifest eval every", "expected at least 1, found 0");
  expect_one("\"eval_root\":\"" + std::string(64, 'a') + '"', "manifest eval root",
             cat("expected ", std::string(64, 'a'), ", found none"));
  expect_one(R"("hiding":true)", "manifest hiding", "expected true, found none");
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
  EXPECT_EQ(open.size(), 14u + 19u);
}

TEST(Policy, ANoEvaluationPolicyLeavesNothingOfItOpen) {
  const Policy policy = parse_policy(R"({"version":1,"eval_rows":0})");
  for (const std::string& item : unpinned(&policy)) EXPECT_EQ(item.find("eval"), std::string::npos) << item;
}

TEST(Policy, PinsTheRunToTheOrder) {
  const Json vectors =
      parse_json(read_file(fs::path(AFTUNE_TESTS_DIR) / "vectors/draw/run_id.json", 1 << 20));
  ASSERT_EQ(vectors.size(), 3u);
  for (const Json& v : vectors) {
    const Policy policy = parse_policy(v["policy"].get<std::string>());
    EXPECT_EQ(run_id_of(policy), v["run"]);
    record::Manifest m = sample();
    m.nonce = *policy.nonce;
    m.run = v["run"];
    EXPECT_TRUE(check_policy(policy, m).empty());
    m.run[0] = m.run[0] == '0' ? '1' : '0';
    const auto reasons = check_policy(policy, m);
    ASSERT_EQ(reasons.size(), 1u);
    EXPECT_EQ(reasons[0].where, "manifest run");
  }
}

TEST(Policy, ReadsWhatIsAskedOfTheAudit) {
  const Policy policy = parse_policy(
      R"({"version":1,"plan":{"confidence":0.99,"attacker":{"tampered":0.05},"inputs":2,"ends":1},)"
      R"("seed_kinds":["fresh","beacon"],"beacon":{"source":"drand quicknet","round":42},)"
      R"("witnesses":{"vkeys":["w1","w2","w3"],"threshold":2},"max_blocks_disclosed":5,)"
      R"("require_final_params":true,"min_cells":3})");
  EXPECT_EQ(policy.plan->confidence, 0.99);
  EXPECT_EQ(policy.plan->attacker, (Attacker{.kind = Attacker::Kind::kTampered, .fraction = 0.05}));
  EXPECT_EQ(policy.plan->least, (Plan{.inputs = 2, .ends = 1}));
  EXPECT_EQ(policy.seed_kinds, (std::vector<std::string>{"fresh", "beacon"}));
  EXPECT_EQ(policy.beacon->source, "drand quicknet");
  EXPECT_EQ(policy.beacon->round, 42);
  EXPECT_EQ(policy.witnesses, (std::vector<std::string>{"w1", "w2", "w3"}));
  EXPECT_EQ(policy.witness_threshold, 2);
  EXPECT_EQ(policy.max_blocks_disclosed, 5);
  EXPECT_TRUE(policy.require_final_params);
  // None of it is about the manifest.
  EXPECT_TRUE(check_policy(policy, sample()).empty());
}

TEST(Policy, RefusesTermsThatSayNothing) {
  const auto refused = [](const std::string& members, const std::string& part) {
    expect_refused("{\"version\":1," + members + "}", part);
  };
  refused(R"("run_from_nonce":true)", "needs a \"nonce\"");
  refused(R"("run_from_nonce":true,"nonce":"")", "needs a \"nonce\"");
  refused(R"("run_from_nonce":true,"nonce":"00","run":"00112233445566778899aabbccddeeff")",
          "cannot be known");
  refused("\"seed_commitment\":\"" + std::string(64, 'a') + "\"", "needs \"run_from_nonce\"");
  refused(R"("plan":{"confidence":0.9})", "\"attacker\" is missing");
  refused(R"("plan":{"attacker":{"bad_cells":1}})", "\"confidence\" is missing");
  refused(R"("plan":{"confidence":1,"attacker":{"bad_cells":1}})", "not between 0 and 1");
  refused(R"("plan":{"confidence":"0.9","attacker":{"bad_cells":1}})", "not between 0 and 1");
  refused(R"("plan":{"confidence":0.9,"attacker":{"bad_cells":0}})", "\"bad_cells\"");
  refused(R"("plan":{"confidence":0.9,"attacker":{"bad_cells":1},"uniform":3})", "\"uniform\"");
  refused(R"("seed_kinds":[])", "allows nothing");
  refused(R"("seed_kinds":["lucky"])", "\"lucky\" is not one");
  refused(R"("beacon":{"source":"","round":1})", "\"source\" is empty");
  refused(R"("beacon":{"round":1})", "\"source\" is missing");
  refused(R"("witnesses":{"vkeys":["a"],"threshold":2})", "\"threshold\"");
  refused(R"("witnesses":{"vkeys":["a"],"threshold":0})", "\"threshold\"");
  refused(R"("witnesses":{"vkeys":["a","a"],"threshold":1})", "names one twice");
  refused(R"("witnesses":{"vkeys":[],"threshold":1})", "allows nothing");
  refused(R"("data_rows":{"min":3,"max":2})", "allows nothing");
  refused(R"("data_rows":{})", "pins nothing");
  refused(R"("data_rows":-1)", "not an integer");
  refused(R"("data_rows":{"least":1})", "\"least\" is not a known member");
  refused(R"("hiding":"yes")", "\"hiding\"");
}

}  // namespace
}  // namespace aftune::audit
