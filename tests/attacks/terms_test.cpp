// A run, a seed or an audit that is not what the client's policy asks for.
#include <gtest/gtest.h>

#include "attacks/expect.h"
#include "attacks/recorded_run.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "seal/cosignature.h"
#include "seal/note.h"
#include "trace/layout.h"

namespace aftune::attacks {
namespace {

using audit::Code;

audit::Policy policy(const std::string& members) {
  return audit::parse_policy("{\"version\":1," + members + "}");
}

std::string committed_to(const std::array<std::uint8_t, 32>& seed) {
  return R"("nonce":"beef","run_from_nonce":true,"seed_commitment":")" +
         to_hex(hash::blake3(as_bytes(Digest{seed}))) + '"';
}

// A run that was named for the policy.
RecordedRun run_for(const audit::Policy& policy) {
  return fresh_copy({.nonce = *policy.nonce, .run_id = audit::run_id_of(policy)});
}

audit::Challenge challenge_for(const RecordedRun& run, const std::array<std::uint8_t, 32>& seed,
                               const std::string& kind) {
  return {.note = read_file(trace::Layout{run.trace()}.checkpoint(), 1 << 16),
          .seed = seed,
          .seed_kind = kind,
          .plan = {.uniform = 3}};
}

TEST(Terms, ARunIsOfOneOrder) {
  rows({3});
  const audit::Policy order = policy(R"("nonce":"beef","run_from_nonce":true)");
  audit::VerifyOptions options = run_for(order).options();
  options.policy = order;
  EXPECT_EQ(audit::verify(options).outcome, audit::Outcome::kAccept) << describe(audit::verify(options));
  // The same nonce in another order, one that asks for less: it is another run's.
  options.policy = policy(R"("run_from_nonce":true,"nonce":"beef")");
  expect_only(audit::verify(options), Code::kPolicy, "run");
}

TEST(Terms, ACommittedSeedIsThePolicys) {
  rows({8});
  const auto seed = hash::blake3("the client's secret").bytes;
  const audit::Policy order = policy(committed_to(seed));
  const RecordedRun run = run_for(order);
  audit::VerifyOptions options = run.options();
  options.policy = order;
  options.challenge = challenge_for(run, seed, "committed");
  EXPECT_EQ(audit::verify(options).outcome, audit::Outcome::kAccept) << describe(audit::verify(options));
  EXPECT_FALSE(leaves_open(audit::verify(options), "grinding"));
  // Another seed; and no policy that says which.
  options.challenge->seed[0] ^= 1;
  expect_only(audit::verify(options), Code::kCoverage, "seed");
  options.challenge->seed = seed;
  options.policy.reset();
  expect_only(audit::verify(options), Code::kCoverage, "seed");
  // A policy written for a seed that is known, after the run.
  options.policy = policy(committed_to(seed) + R"(,"min_cells":1)");
  expect_only(audit::verify(options), Code::kPolicy, "run");
}

TEST(Terms, ABeaconIsThePolicys) {
  rows({8});
  const RecordedRun run = fresh_copy({});
  audit::VerifyOptions options = run.options();
  const audit::Beacon beacon{42, std::string(64, '7')};
  options.challenge = challenge_for(run, beacon_seed(beacon), "beacon");
  options.challenge->beacon = beacon;
  options.policy = policy(R"("beacon":{"source":"drand quicknet","round":42})");
  EXPECT_EQ(audit::verify(options).outcome, audit::Outcome::kAccept) << describe(audit::verify(options));
  EXPECT_TRUE(leaves_open(audit::verify(options), "beacon"));
  options.policy = policy(R"("beacon":{"source":"drand quicknet","round":41})");
  expect_only(audit::verify(options), Code::kCoverage, "seed");
  options.policy.reset();
  expect_only(audit::verify(options), Code::kCoverage, "seed");
  options.policy = policy(R"("beacon":{"source":"drand quicknet","round":42})");
  options.challenge->seed[5] ^= 1;
  expect_only(audit::verify(options), Code::kCoverage, "seed");
}

TEST(Terms, ASeedOfAKindThatWasNotAgreed) {
  rows({8});
  audit::VerifyOptions options = fresh_copy({}).options();
  options.policy = policy(R"("seed_kinds":["fresh","committed"])");
  EXPECT_EQ(audit::verify(options).outcome, audit::Outcome::kAccept) << "every cell needs no seed";
  options.plan = {.uniform = 3};
  options.seed = {1};
  expect_only(audit::verify(options), Code::kCoverage, "seed");
}

TEST(Terms, APlanWeakerThanThePolicys) {
  rows({42});
  audit::VerifyOptions options = fresh_copy({}).options();
  options.policy = policy(R"("plan":{"confidence":0.9,"attacker":{"bad_cells":2},"inputs":1})");
  options.seed = {1};
  options.plan = {.uniform = 2, .inputs = 1};
  options.tampered = 1;  // a weaker attacker on the command line changes nothing
  expect_only(audit::verify(options), Code::kCoverage, "plan");
  options.tampered = 0;
  options.plan = {.uniform = 6, .inputs = 1};  // 1 - C(3,2) / C(9,2)
  const audit::Verdict verdict = audit::verify(options);
  EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
  EXPECT_NEAR(verdict.confidence, 1 - 3.0 / 36, 1e-12);
  EXPECT_EQ(verdict.attacker, "at least 2 of 9 cells are bad");
  options.plan = {.uniform = 6};
  expect_only(audit::verify(options), Code::kCoverage, "plan");
}

TEST(Terms, WhatTheRunDoesNotHave) {
  rows({14});
  audit::VerifyOptions options = fresh_copy({}).options();
  options.policy = policy(R"("hiding":true)");
  expect_only(audit::verify(options), Code::kPolicy, "hiding");
  options.policy = policy(R"("eval_every":{"min":1})");
  expect_only(audit::verify(options), Code::kPolicy, "eval every");
  options.policy = policy("\"template\":\"" + std::string(64, 'a') + "\"");
  expect_only(audit::verify(options), Code::kPolicy, "template");
}

TEST(Terms, WitnessesThatThePolicyNames) {
  rows({2});
  const RecordedRun run = fresh_copy({});
  const auto witness = seal::SecretKey::from_seed("witness.example/w", {7}, seal::KeyUse::kWitness);
  audit::VerifyOptions options = run.options();
  options.policy =
      policy(cat(R"("witnesses":{"threshold":1,"vkeys":[")", witness.public_key().vkey(), R"("]})"));
  expect_only(audit::verify(options), Code::kAbsent, "witnesses");
  const fs::path checkpoint = trace::Layout{run.trace()}.checkpoint();
  seal::Note note = seal::Note::parse(read_file(checkpoint, 1 << 16));
  note.signatures.push_back(seal::cosign(note, witness, 1'700'000'000));
  write_file(checkpoint, note.to_text());
  const audit::Verdict verdict = audit::verify(options);
  EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
  EXPECT_FALSE(leaves_open(verdict, "other-histories:"));
}

TEST(Terms, WithoutAPolicyNoCheckOfItIsCounted) {
  const audit::Verdict verdict = audit::verify(fresh_copy({}).options());
  EXPECT_EQ(verdict.checks.count(audit::Check::kPolicy), 0u);
  EXPECT_TRUE(leaves_open(verdict, "policy: taken on the provider's word: the whole manifest"));
}

// Silence is not a second draw: what was not answered is asked for again, and counts against the odds.
TEST(Terms, CellsThatWereLeftUnanswered) {
  rows({10});
  const RecordedRun run = fresh_copy({});
  audit::VerifyOptions options = run.options();
  options.challenge = challenge_for(run, {1}, "fresh");
  options.max_memory = 1;
  const audit::Verdict first = audit::verify(options);
  expect_only(first, Code::kTooLarge);
  ASSERT_EQ(unanswered(first).size(), 3u);
  options.max_memory = 0;
  options.challenge = challenge_for(run, {2}, "fresh");
  options.challenge->plan.uniform = 1;
  options.challenge->must = unanswered(first);
  const audit::Verdict second = audit::verify(options);
  EXPECT_EQ(second.outcome, audit::Outcome::kAccept) << describe(second);
  EXPECT_GE(second.checked, 3);
  EXPECT_NEAR(second.one_cell, 1.0 / 9, 1e-12);
  options.challenge->must = {{9, 9}};
  EXPECT_THROW(audit::verify(options), Error);
}

}  // namespace
}  // namespace aftune::attacks
