// What a policy asks of the audit: the kind of its seed, and how much it looks at.
#include <gtest/gtest.h>

#include "audit/policy_check.h"
#include "audit/seed_check.h"
#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

constexpr record::Grid kGrid{
    .layers = 4, .tied = false, .layers_per_block = 2, .steps = 10, .steps_per_block = 2};  // 4 x 5 cells

Policy policy(const std::string& members) {
  return parse_policy("{\"version\":1," + members + "}");
}

// The details of the reasons, all of them `code` at `where`.
std::vector<std::string> details(const Verdict& verdict, const std::string& where,
                                 Code code = Code::kCoverage) {
  std::vector<std::string> out;
  for (const Reason& reason : verdict.reasons) {
    EXPECT_EQ(reason.code, code);
    EXPECT_EQ(reason.where, where);
    out.push_back(reason.detail);
  }
  return out;
}

std::vector<std::string> seed_reasons(const Challenge& challenge, const Policy* policy,
                                      std::vector<std::string>* unchecked = nullptr) {
  Verdict verdict;
  Findings findings(verdict);
  check_seed(challenge, policy, findings);
  if (unchecked != nullptr) *unchecked = verdict.unchecked;
  return details(verdict, "seed");
}

Challenge with_kind(const std::string& kind) {
  Challenge challenge;
  challenge.seed = hash::blake3("seed").bytes;
  challenge.seed_kind = kind;
  challenge.plan = {.uniform = 1};
  return challenge;
}

TEST(Seed, IsOfAKindThatThePolicyAllows) {
  const Policy fresh = policy(R"("seed_kinds":["fresh","beacon"])");
  EXPECT_TRUE(seed_reasons(with_kind("fresh"), &fresh).empty());
  EXPECT_EQ(seed_reasons(with_kind("given"), &fresh),
            std::vector<std::string>{"the policy does not allow the kind \"given\""});
  const Policy any = policy(R"("nonce":"00")");
  EXPECT_TRUE(seed_reasons(with_kind("given"), &any).empty());
  EXPECT_TRUE(seed_reasons(with_kind("given"), nullptr).empty());
  Challenge all = with_kind("given");
  all.plan = {.all = true};
  EXPECT_TRUE(seed_reasons(all, &fresh).empty());
}

TEST(Seed, ACommittedOneIsTheOneInThePolicy) {
  const Challenge challenge = with_kind("committed");
  const auto carrying = [](const Digest& digest) {
    return policy(R"("nonce":"00","run_from_nonce":true,"seed_commitment":")" + to_hex(digest) + '"');
  };
  const Policy agreed = carrying(hash::blake3(as_bytes(Digest{challenge.seed})));
  EXPECT_TRUE(seed_reasons(challenge, &agreed).empty());
  const Policy other = carrying(hash::blake3("other"));
  ASSERT_EQ(seed_reasons(challenge, &other).size(), 1u);
  EXPECT_EQ(seed_reasons(challenge, &other)[0].find("committed: the policy carries "), 0u);
  const Policy silent = policy(R"("nonce":"00")");
  for (const Policy* none : {&silent, static_cast<const Policy*>(nullptr)})
    EXPECT_EQ(seed_reasons(challenge, none),
              std::vector<std::string>{"committed: no policy carries its digest"});
}

TEST(Seed, ABeaconsFollowsFromTheRoundInThePolicy) {
  Challenge challenge = with_kind("beacon");
  challenge.beacon = Beacon{42, std::string(64, 'a')};
  challenge.seed = beacon_seed(*challenge.beacon);
  const Policy agreed = policy(R"("beacon":{"source":"drand quicknet","round":42})");
  std::vector<std::string> unchecked;
  EXPECT_TRUE(seed_reasons(challenge, &agreed, &unchecked).empty());
  ASSERT_EQ(unchecked.size(), 1u);
  EXPECT_NE(unchecked[0].find("is the value of round 42 of drand quicknet, and that it came after"),
            std::string::npos);
  const Policy later = policy(R"("beacon":{"source":"drand quicknet","round":43})");
  EXPECT_EQ(seed_reasons(challenge, &later),
            std::vector<std::string>{"beacon: the policy names round 43, the challenge has 42"});
  EXPECT_EQ(seed_reasons(challenge, nullptr), std::vector<std::string>{"beacon: no policy names the round"});
  challenge.beacon->value[0] = 'b';
  EXPECT_EQ(seed_reasons(challenge, &agreed),
            std::vector<std::string>{"beacon: not what follows from the value of round 42"});
  challenge.beacon.reset();
  EXPECT_EQ(seed_reasons(challenge, &agreed), std::vector<std::string>{"beacon: the challenge has no round"});
}

// Checks `checked` inner cells, all that were asked for.
Verdict audited(const Policy& policy, const Plan& plan, std::int64_t checked, std::int64_t missing = 0,
                DType exported = DType::kF32) {
  std::set<Cell> cells;
  for (std::int64_t i = 0; i < checked; ++i) cells.insert({static_cast<int>(i % 4), i / 4});
  Verdict verdict;
  Findings findings(verdict);
  check_audit_terms(policy, {kGrid, exported, plan, checked + missing, cells}, findings);
  return verdict;
}

TEST(Terms, APlanIsAtLeastThePolicys) {
  // Of 20 cells 2 are bad: six draws find one with probability 0.52, five with 0.45.
  const Policy half = policy(R"("plan":{"confidence":0.5,"attacker":{"tampered":0.1}})");
  EXPECT_TRUE(audited(half, {.uniform = 6}, 6).reasons.empty());
  EXPECT_EQ(details(audited(half, {.uniform = 5}, 5), "plan"),
            std::vector<std::string>{"detects with probability 0.447368 that at least 2 of 20 cells are bad "
                                     "(0.1 of all); the policy asks for 0.5"});
  // What was asked for and not checked is not drawn.
  EXPECT_EQ(details(audited(half, {.uniform = 6}, 5, 1), "plan").size(), 1u);
  // Every cell is enough, however it was asked for.
  EXPECT_TRUE(audited(half, {.uniform = 1}, 20).reasons.empty());
  EXPECT_TRUE(audited(half, {.all = true}, 20).reasons.empty());
  EXPECT_EQ(details(audited(half, {.all = true}, 1, 19), "plan").size(), 1u);
}

TEST(Terms, StrataAreAtLeastThePolicys) {
  const Policy strata =
      policy(R"("plan":{"confidence":0.01,"attacker":{"bad_cells":1},"inputs":2,"objective":9,"ends":1})");
  EXPECT_TRUE(audited(strata, {.uniform = 3, .inputs = 2, .objective = 5, .ends = 1}, 9).reasons.empty());
  EXPECT_EQ(details(audited(strata, {.uniform = 3, .inputs = 1, .objective = 4}, 9), "plan"),
            (std::vector<std::string>{"1 cells of inputs, the policy asks for 2",
                                      "4 cells of objective, the policy asks for 9",
                                      "0 cells of ends, the policy asks for 1"}));
}

TEST(Terms, CellsAreAtLeastThePolicys) {
  const Policy four = policy(R"("min_cells":4)");
  EXPECT_TRUE(audited(four, {.uniform = 4}, 4).reasons.empty());
  EXPECT_EQ(details(audited(four, {.uniform = 3}, 3), "cells"),
            std::vector<std::string>{"checked 3, the policy asks for 4"});
}

TEST(Terms, FinalParametersOfARoundedExportNeedTheLastRow) {
  const Policy final = policy(R"("require_final_params":true)");
  EXPECT_TRUE(audited(final, {.uniform = 1}, 1).reasons.empty());
  EXPECT_TRUE(audited(final, {.all = true}, 20, 0, DType::kBF16).reasons.empty());
  EXPECT_EQ(details(audited(final, {.uniform = 18}, 18, 0, DType::kBF16), "export", Code::kAbsent),
            std::vector<std::string>{
                "the policy asks for all final parameters; those of 2 of 4 blocks were compared"});
}

TEST(Terms, MoreBlocksThanAgreedAreStated) {
  const Policy three = policy(R"("max_blocks_disclosed":3)");
  EXPECT_TRUE(audited(three, {.uniform = 3}, 3).unchecked.empty());
  EXPECT_EQ(audited(three, {.uniform = 4}, 4).unchecked,
            std::vector<std::string>{"disclosure: cells of 4 layer blocks were opened, the policy allows 3"});
}

}  // namespace
}  // namespace aftune::audit
