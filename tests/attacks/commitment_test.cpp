// Rows 1-12: the log, its signature, its shape.
#include <gtest/gtest.h>

#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "base/error.h"
#include "hash/merkle.h"
#include "seal/note.h"
#include "trace/layout.h"

namespace aftune::attacks {
namespace {

using audit::Code;

audit::Verdict verify(const RecordedRun& run) {
  return audit::verify(run.options());
}

void write_leaves(const RecordedRun& run, const std::vector<std::string>& leaves) {
  std::string text;
  for (const std::string& leaf : leaves) text += leaf + '\n';
  write_file(trace::Layout{run.trace()}.log(), text);
}

TEST(Commitment, ALeafRewrittenAfterSigning) {
  rows({1});
  for (const std::int64_t t : {0, 5}) {
    Forgery forgery(fresh_copy({}));
    forgery.edit_step(t, [](record::Step& step) { step.loss += 1; });
    write_leaves(forgery.run(), forgery.leaves());
    expect_only(verify(forgery.run()), Code::kLogRoot, "log");
  }
}

TEST(Commitment, TwoHistoriesOfOneRun) {
  rows({2});
  const RecordedRun honest = fresh_copy({});
  Forgery forgery(fresh_copy({}));
  forgery.edit_step(1, [](record::Step& step) { step.loss += 1; });
  const RecordedRun forged = forgery.seal();
  // The auditor holds the first note; the trace shown is that of the second.
  audit::VerifyOptions options = forged.options();
  options.checkpoint = trace::Layout{honest.trace()}.checkpoint();
  expect_among(audit::verify(options), Code::kEquivocation, "checkpoint");
  // The log is the first note's, beside a second signed note.
  fs::copy_file(trace::Layout{forged.trace()}.checkpoint(), trace::Layout{honest.trace()}.checkpoint(),
                fs::copy_options::overwrite_existing);
  options = honest.options();
  const fs::path note = honest.root / "received";
  fs::copy_file(trace::Layout{fresh_copy({}).trace()}.checkpoint(), note);
  options.checkpoint = note;
  expect_only(audit::verify(options), Code::kEquivocation, "checkpoint");
}

TEST(Commitment, ASecondRootAfterTheChallenge) {
  rows({2, 10});
  const RecordedRun honest = fresh_copy({});
  Forgery forgery(fresh_copy({}));
  forgery.edit_step(1, [](record::Step& step) { step.loss += 1; });
  audit::VerifyOptions options = forgery.seal().options();
  options.challenge = audit::Challenge{.note = read_file(trace::Layout{honest.trace()}.checkpoint(), 1 << 16),
                                       .seed = {1},
                                       .plan = {.all = true}};
  expect_among(audit::verify(options), Code::kEquivocation, "challenge");
}

TEST(Commitment, AChallengeMadeForAnotherCheckpoint) {
  rows({8});
  const RecordedRun run = fresh_copy({});
  audit::VerifyOptions options = run.options();
  const std::string note = read_file(trace::Layout{run.trace()}.checkpoint(), 1 << 16);
  options.challenge = audit::Challenge{.note = note, .seed = {1}, .plan = {.uniform = 2}};
  EXPECT_EQ(audit::verify(options).outcome, audit::Outcome::kAccept);
  // Of the same log, when it was shorter.
  Forgery same(run);
  hash::MerkleTree tree;
  for (const std::string& leaf : same.leaves()) tree.append(hash::leaf_hash(leaf));
  const std::string origin = seal::Checkpoint::parse(seal::Note::parse(note).text).origin;
  options.challenge->note = seal::sign_checkpoint({origin, 5, tree.root(5)}, provider_key()).to_text();
  EXPECT_THROW(audit::verify(options), Error);
  // Of another run.
  options.challenge->note =
      seal::sign_checkpoint({"audit.example/acme/ff", 5, tree.root(5)}, provider_key()).to_text();
  EXPECT_THROW(audit::verify(options), Error);
}

TEST(Commitment, AnotherRunPresented) {
  rows({3});
  const RecordedRun run = fresh_copy({.nonce = "beef"});
  audit::VerifyOptions options = run.options();
  options.policy = audit::parse_policy(R"({"version":1,"nonce":"beef"})");
  EXPECT_EQ(audit::verify(options).outcome, audit::Outcome::kAccept);
  options.policy = audit::parse_policy(R"({"version":1,"nonce":"feed"})");
  expect_only(audit::verify(options), Code::kPolicy, "nonce");
  options.policy = audit::parse_policy(R"({"version":1,"run":")" + std::string(32, '2') + "\"}");
  expect_only(audit::verify(options), Code::kPolicy, "run");
}

TEST(Commitment, AnotherRunsCheckpoint) {
  rows({3});
  const RecordedRun run = fresh_copy({}), other = fresh_copy({.seed = 8});
  fs::copy_file(trace::Layout{other.trace()}.checkpoint(), trace::Layout{run.trace()}.checkpoint(),
                fs::copy_options::overwrite_existing);
  expect_only(verify(run), Code::kLogRoot, "log");
}

TEST(Commitment, ARunIdThatTheSignedOriginDoesNotName) {
  rows({3});
  Forgery forgery(fresh_copy({}));
  forgery.edit_manifest([](record::Manifest& m) { m.run = std::string(32, 'f'); });
  expect_only(verify(forgery.seal()), Code::kClosing, "log line 1");
}

TEST(Commitment, LeavesSplicedFromAnotherRun) {
  rows({4});
  Forgery other(fresh_copy({.seed = 8}));
  for (const std::int64_t leaf : {other.grid().step_leaf(2), other.grid().state_leaf(1)}) {
    Forgery forgery(fresh_copy({}));
    forgery.leaves()[static_cast<std::size_t>(leaf)] = other.leaves()[static_cast<std::size_t>(leaf)];
    EXPECT_EQ(verify(forgery.seal()).outcome, audit::Outcome::kReject);
  }
}

TEST(Commitment, LeavesOfAnotherPlaceInTheRun) {
  rows({4});
  const auto swapped = [](std::int64_t a, std::int64_t b) {
    Forgery forgery(fresh_copy({}));
    std::swap(forgery.leaves()[static_cast<std::size_t>(a)], forgery.leaves()[static_cast<std::size_t>(b)]);
    return verify(forgery.seal());
  };
  const record::Grid grid = Forgery(fresh_copy({})).grid();
  expect_only(swapped(grid.step_leaf(0), grid.step_leaf(1)), Code::kClosing, "log line 3");
  expect_only(swapped(grid.state_leaf(0), grid.state_leaf(1)), Code::kClosing, "log line 2");
  expect_only(swapped(grid.state_leaf(0), grid.step_leaf(0)), Code::kClosing, "log line 3");
  expect_only(swapped(grid.final_leaf(), grid.state_leaf(3)), Code::kClosing);
  expect_only(swapped(0, 1), Code::kClosing, "log line 1");
}

TEST(Commitment, ALogCutShort) {
  rows({6});
  for (const std::size_t keep : {1u, 4u, 11u, 12u}) {
    Forgery forgery(fresh_copy({}));
    ASSERT_EQ(forgery.leaves().size(), 12u + 0u) << "the shapes below count on it";
    forgery.leaves().resize(std::min<std::size_t>(keep, 11));
    // Not signed again, and signed again.
    write_leaves(forgery.run(), forgery.leaves());
    expect_only(verify(forgery.run()), Code::kLogRoot, "log.jsonl");
    expect_only(verify(forgery.seal()), Code::kClosing, "log.jsonl");
  }
}

TEST(Commitment, LeavesTooMany) {
  rows({7});
  Forgery unsigned_extra(fresh_copy({}));
  unsigned_extra.leaves().push_back(unsigned_extra.leaves().back());
  write_leaves(unsigned_extra.run(), unsigned_extra.leaves());
  expect_only(verify(unsigned_extra.run()), Code::kClosing, "log line 13");
  Forgery extra(fresh_copy({}));
  extra.leaves().push_back(extra.leaves().back());
  expect_only(verify(extra.seal()), Code::kClosing, "log.jsonl");
  Forgery twice(fresh_copy({}));
  twice.leaves()[4] = twice.leaves()[5];
  EXPECT_EQ(verify(twice.seal()).outcome, audit::Outcome::kReject);
}

TEST(Commitment, TotalsThatAreNotTheSums) {
  rows({6});
  for (const int member : {0, 1, 2}) {
    Forgery forgery(fresh_copy({}));
    forgery.edit_final([&](record::Final& final) {
      if (member == 0) ++final.positions;
      if (member == 1) ++final.tokens;
      if (member == 2) --final.predicted;
    });
    expect_only(verify(forgery.seal()), Code::kClosing, "log line 12");
  }
}

TEST(Commitment, LeavesThatAreNotCanonical) {
  rows({7, 37});
  const auto with = [](std::size_t leaf, const std::function<std::string(std::string)>& edit) {
    Forgery forgery(fresh_copy({}));
    forgery.leaves()[leaf] = edit(forgery.leaves()[leaf]);
    return verify(forgery.seal());
  };
  const auto replace = [](std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, text.npos) << from;
    return text.replace(at, from.size(), to);
  };
  for (const std::size_t leaf : {0u, 1u, 2u, 11u}) {
    const std::string line = cat("log line ", leaf + 1);
    expect_only(with(leaf, [](std::string l) { return l + " "; }), Code::kClosing, line);
    expect_only(with(leaf, [](std::string l) { return l.substr(0, l.size() - 1) + ",\"zz\":1}"; }),
                Code::kClosing, line);
    expect_only(with(leaf, [](std::string l) { return "{\"a\":1," + l.substr(1); }), Code::kClosing, line);
    expect_only(with(leaf, [](std::string) { return std::string("{\"type\":\"note\"}"); }), Code::kClosing,
                line);
    expect_only(with(leaf, [](std::string) { return std::string("\xff"); }), Code::kClosing, line);
    expect_only(with(leaf, [](std::string) { return std::string(60000, '['); }), Code::kClosing, line);
  }
  const auto twice = [&](std::string l) {
    return replace(std::move(l), "{\"activations\":", "{\"clip\":0,\"activations\":");
  };
  expect_only(with(2, twice), Code::kClosing, "log line 3");
  const auto upper = [&](std::string l) { return replace(std::move(l), "\"step\":0", "\"step\":0.0"); };
  expect_only(with(2, upper), Code::kClosing, "log line 3");
}

TEST(Commitment, FalseDimensions) {
  rows({8});
  const auto with = [](const std::function<void(record::Manifest&)>& edit) {
    Forgery forgery(fresh_copy({}));
    forgery.edit_manifest(edit);
    return verify(forgery.seal());
  };
  expect_only(with([](auto& m) { m.grid.layers_per_block = 2; }), Code::kClosing);
  expect_only(with([](auto& m) { m.grid.steps_per_block = 3; }), Code::kClosing);
  expect_only(with([](auto& m) { m.grid.layers = 1; }), Code::kClosing);
  expect_only(with([](auto& m) { m.grid.tied = false; }), Code::kClosing);
  expect_only(with([](auto& m) { m.recipe.steps = 5; }), Code::kClosing);
  expect_only(with([](auto& m) { m.recipe.steps = std::int64_t{1} << 40; }), Code::kClosing);
  expect_only(with([](auto& m) { m.base.dtype = DType::kBF16; }), Code::kClosing, "log line 1");
  expect_only(with([](auto& m) { m.base.digests.pop_back(); }), Code::kClosing, "log line 1");
  expect_only(with([](auto& m) { m.base.digests.clear(); }), Code::kClosing, "log line 1");
  expect_only(with([](auto& m) { m.eos = 3; }), Code::kClosing, "log line 1");
  expect_only(with([](auto& m) { m.bos = 3; }), Code::kClosing, "log line 1");
}

TEST(Commitment, ArithmeticThisBuildDoesNotKnow) {
  rows({11});
  const auto with = [](const std::function<void(record::Manifest&)>& edit) {
    Forgery forgery(fresh_copy({}));
    forgery.edit_manifest(edit);
    return verify(forgery.seal());
  };
  expect_only(with([](auto& m) { m.profile = "f64"; }), Code::kUnsupported, "numerics");
  // The ops stay those of i14, which are not native's.
  const auto native = [](auto& m) {
    m.profile = "native";
    m.native = record::NativeMachine{"a device", "8.0", "a library"};
  };
  expect_only(with(native), Code::kUnsupported, "numerics");
  expect_only(with([](auto& m) { m.profile = "native"; }), Code::kClosing, "log line 1");
  expect_only(with([](auto& m) { m.ops.back() += "0"; }), Code::kUnsupported, "numerics");
  expect_only(with([](auto& m) { m.ops.pop_back(); }), Code::kUnsupported, "numerics");
  Forgery forgery(fresh_copy({}));
  forgery.edit_manifest(native);
  audit::VerifyOptions options = forgery.seal().options();
  options.policy = audit::parse_policy(R"({"version":1,"numerics":["f32"]})");
  expect_among(audit::verify(options), Code::kPolicy, "numerics");
}

TEST(Commitment, SignaturesThatAreNotTheProviders) {
  rows({12});
  const RecordedRun run = fresh_copy({});
  const fs::path path = trace::Layout{run.trace()}.checkpoint();
  const seal::Note note = seal::Note::parse(read_file(path, 1 << 16));
  std::array<std::uint8_t, 32> seed{};
  seed[3] = 9;
  const auto same_name = seal::SecretKey::from_seed("audit.example/acme", seed);
  const auto other_name = seal::SecretKey::from_seed("audit.example/evil", seed);
  const auto signed_by = [&](const seal::SecretKey& key) {
    return seal::sign_checkpoint(seal::Checkpoint::parse(note.text), key);
  };
  write_file(path, signed_by(same_name).to_text());
  expect_only(verify(run), Code::kSignature, "checkpoint");
  write_file(path, signed_by(other_name).to_text());
  expect_only(verify(run), Code::kSignature, "checkpoint");
  audit::VerifyOptions by_evil = run.options();
  by_evil.key = other_name.public_key();
  expect_only(audit::verify(by_evil), Code::kSignature, "checkpoint");  // the origin is acme's
  // A known key's line that does not verify is not outweighed by one of an unknown key.
  seal::Note mixed = signed_by(other_name);
  mixed.signatures.push_back(note.signatures[0]);
  write_file(path, mixed.to_text());
  EXPECT_EQ(verify(run).outcome, audit::Outcome::kAccept) << describe(verify(run));
  mixed.signatures[1].signature[5] ^= std::byte{1};
  write_file(path, mixed.to_text());
  expect_only(verify(run), Code::kSignature, "checkpoint");
  std::string many = note.to_text();
  for (int i = 0; i < 1000; ++i) many += signed_by(other_name).to_text().substr(note.text.size() + 1);
  write_file(path, many);
  expect_only(verify(run), Code::kFormat, "checkpoint");
}

TEST(Commitment, ChallengesThatNoOneDrew) {
  rows({8});
  audit::VerifyOptions options = fresh_copy({}).options();
  options.plan = {.uniform = 3};
  options.seed = {};
  EXPECT_THROW(audit::verify(options), Error);
  options.seed[0] = 1;
  options.plan = {};
  EXPECT_THROW(audit::verify(options), Error);
  options.plan = {.uniform = 3};
  options.policy = audit::parse_policy(R"({"version":1,"min_cells":4})");
  expect_only(audit::verify(options), Code::kCoverage, "cells");
  std::array<std::uint8_t, 32> seed{};
  const auto other = seal::SecretKey::from_seed("audit.example/evil", seed);
  options.policy->vkey = other.public_key().vkey();
  EXPECT_THROW(audit::verify(options), Error);
}

}  // namespace
}  // namespace aftune::attacks
