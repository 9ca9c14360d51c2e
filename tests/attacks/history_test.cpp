// Rows 2, 10 and 12: more than one signed history of a run, and notes that are not to be read.
#include <gtest/gtest.h>

#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "audit/known_notes.h"
#include "base/error.h"
#include "hash/merkle.h"
#include "seal/cosignature.h"
#include "seal/note.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune::attacks {
namespace {

using audit::Code;

std::string note_of(const RecordedRun& run) {
  return read_file(trace::Layout{run.trace()}.checkpoint(), 1 << 16);
}

hash::MerkleTree tree_of(const RecordedRun& run) {
  return trace::Log::read(trace::Layout{run.trace()}.log()).tree();
}

// What the provider could have signed of this log earlier on.
std::string earlier_note(const RecordedRun& run, std::uint64_t size) {
  const std::string origin = seal::Checkpoint::parse(seal::Note::parse(note_of(run)).text).origin;
  return seal::sign_checkpoint({origin, size, tree_of(run).root(size)}, provider_key()).to_text();
}

RecordedRun second_history() {
  Forgery forgery(fresh_copy({}));
  forgery.edit_step(1, [](record::Step& step) { step.loss += 1; });
  return forgery.seal();
}

// A log that is not the earlier note's is also wrong elsewhere; what counts here is that this is said.
void expect_equivocation(const audit::VerifyOptions& options, const std::string& where) {
  expect_among(audit::verify(options), Code::kEquivocation, where);
}

TEST(History, ALogThatDoesNotExtendAnEarlierCheckpoint) {
  rows({2});
  const RecordedRun honest = fresh_copy({}), forged = second_history();
  const fs::path since = honest.root / "since";
  for (const std::uint64_t size : {1u, 3u, 5u, 12u}) {
    write_file(since, earlier_note(honest, size));
    audit::VerifyOptions options = honest.options();
    options.since = since;
    EXPECT_EQ(audit::verify(options).outcome, audit::Outcome::kAccept);
    if (size < 4) continue;  // the histories part at line 4
    options = forged.options();
    options.since = since;
    expect_equivocation(options, "since");
  }
  const hash::MerkleTree tree = tree_of(honest);
  const std::string origin = seal::Checkpoint::parse(seal::Note::parse(note_of(honest)).text).origin;
  write_file(since, seal::sign_checkpoint({origin, 13, tree.root()}, provider_key()).to_text());
  audit::VerifyOptions options = honest.options();
  options.since = since;
  expect_only(audit::verify(options), Code::kEquivocation, "since");
}

TEST(History, AnEarlierCheckpointThatIsNoneOfThisRuns) {
  rows({2});
  const RecordedRun run = fresh_copy({});
  audit::VerifyOptions options = run.options();
  options.since = run.root / "since";
  const hash::MerkleTree tree = tree_of(run);
  const auto put = [&](const std::string& origin, std::uint64_t size, const seal::SecretKey& key) {
    write_file(*options.since, seal::sign_checkpoint({origin, size, tree.root(size)}, key).to_text());
  };
  const std::string origin = seal::Checkpoint::parse(seal::Note::parse(note_of(run)).text).origin;
  put(origin, 5, seal::SecretKey::from_seed("audit.example/acme", {9}));
  EXPECT_THROW(audit::verify(options), Error);
  put("audit.example/acme/ff", 5, provider_key());
  EXPECT_THROW(audit::verify(options), Error);
  put(origin, 0, provider_key());
  EXPECT_THROW(audit::verify(options), Error);
  write_file(*options.since, "garbage");
  EXPECT_THROW(audit::verify(options), Error);
}

TEST(History, ConsistencyProofsThatProveSomethingElse) {
  rows({2});
  const RecordedRun run = fresh_copy({}), forged = second_history();
  const hash::MerkleTree tree = tree_of(run);
  audit::VerifyOptions options = run.options();
  options.since = run.root / "since";
  options.consistency = run.root / "consistency";
  write_file(*options.since, earlier_note(run, 5));
  const auto with = [&](const seal::ConsistencyProof& proof) {
    write_file(*options.consistency, proof.to_text());
    return audit::verify(options);
  };
  const seal::ConsistencyProof good{5, tree.consistency(5, 12), note_of(run)};
  EXPECT_EQ(with(good).outcome, audit::Outcome::kAccept);
  seal::ConsistencyProof bad = good;
  bad.proof[1].bytes[3] ^= 1;
  expect_only(with(bad), Code::kUnattributed, "consistency");
  bad = good;
  bad.proof.pop_back();
  expect_only(with(bad), Code::kUnattributed, "consistency");
  expect_only(with({4, tree.consistency(4, 12), note_of(run)}), Code::kUnattributed, "consistency");
  // From an earlier checkpoint to one that is not audited: honest, but not what was asked for.
  expect_only(with({5, tree.consistency(5, 7), earlier_note(run, 7)}), Code::kUnattributed, "consistency");
  // The proof carries the second history's note, signed: that alone convicts.
  expect_among(with({5, tree_of(forged).consistency(5, 12), note_of(forged)}), Code::kEquivocation,
               "consistency");
  write_file(*options.consistency, good.to_text() + "x");
  expect_only(audit::verify(options), Code::kUnattributed, "consistency");
  options.since.reset();
  EXPECT_THROW(audit::verify(options), Error);
}

TEST(History, ASecondFinalRootShownToOneAuditor) {
  rows({2, 10});
  const RecordedRun honest = fresh_copy({}), forged = second_history();
  const fs::path known = honest.root / "known";
  audit::VerifyOptions first = honest.options();
  EXPECT_TRUE(leaves_open(audit::verify(first), "other-histories"));
  first.known = known;
  for (int again = 0; again < 2; ++again) {
    const audit::Verdict verdict = audit::verify(first);
    EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
    EXPECT_FALSE(leaves_open(verdict, "other-histories"));
    EXPECT_TRUE(leaves_open(verdict, "witnesses"));
  }
  EXPECT_EQ(audit::KnownNotes(known).notes().size(), 1u);
  audit::VerifyOptions second = forged.options();
  second.known = known;
  expect_equivocation(second, "known note 1");
  // What was signed stays signed: from now on the first history is rejected too.
  EXPECT_EQ(audit::KnownNotes(known).notes().size(), 2u);
  expect_only(audit::verify(first), Code::kEquivocation, "known note 2");
}

TEST(History, AKnownNoteThatTheLogDoesNotContinue) {
  rows({2});
  const RecordedRun honest = fresh_copy({}), forged = second_history();
  const fs::path known = honest.root / "known";
  audit::KnownNotes(known).add(earlier_note(honest, 3));
  audit::KnownNotes(known).add(earlier_note(honest, 5));
  audit::VerifyOptions options = honest.options();
  options.known = known;
  EXPECT_EQ(audit::verify(options).outcome, audit::Outcome::kAccept);
  options = forged.options();
  options.known = known;
  expect_equivocation(options, "known note 2");
}

// Who writes into the auditor's file cannot frame a provider.
TEST(History, KnownNotesThatTheProviderDidNotSign) {
  const RecordedRun run = fresh_copy({});
  const seal::Checkpoint c = seal::Checkpoint::parse(seal::Note::parse(note_of(run)).text);
  const fs::path known = run.root / "known";
  seal::Checkpoint other = c;
  other.root.bytes[0] ^= 1;
  audit::KnownNotes(known).add(
      seal::sign_checkpoint(other, seal::SecretKey::from_seed("audit.example/acme", {9})).to_text());
  seal::Note forged = seal::Note::parse(note_of(run));
  forged.text = other.to_text();
  audit::KnownNotes(known).add(forged.to_text());
  audit::VerifyOptions options = run.options();
  options.known = known;
  EXPECT_EQ(audit::verify(options).outcome, audit::Outcome::kAccept);
}

TEST(History, AnUnsignedNoteIsNotRemembered) {
  const RecordedRun run = fresh_copy({});
  seal::Note note = seal::Note::parse(note_of(run));
  note.signatures[0].signature[7] ^= std::byte{1};
  write_file(trace::Layout{run.trace()}.checkpoint(), note.to_text());
  audit::VerifyOptions options = run.options();
  options.known = run.root / "known";
  expect_only(audit::verify(options), Code::kSignature, "checkpoint");
  EXPECT_EQ(audit::KnownNotes(*options.known).notes().size(), 0u);
}

TEST(History, WitnessesThatDidNotSign) {
  rows({2, 12});
  const RecordedRun run = fresh_copy({});
  const auto one = seal::SecretKey::from_seed("witness.example/w1", {11}, seal::KeyUse::kWitness);
  const auto two = seal::SecretKey::from_seed("witness.example/w2", {12}, seal::KeyUse::kWitness);
  audit::VerifyOptions options = run.options();
  options.witnesses = {one.public_key().vkey(), two.public_key().vkey()};
  options.witness_threshold = 1;
  expect_only(audit::verify(options), Code::kAbsent, "witnesses");
  EXPECT_TRUE(leaves_open(audit::verify(options), "other-histories"));
  seal::Note note = seal::Note::parse(note_of(run));
  note.signatures.push_back(seal::cosign(note, one, 1700000000));
  write_file(trace::Layout{run.trace()}.checkpoint(), note.to_text());
  const audit::Verdict verdict = audit::verify(options);
  EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
  EXPECT_FALSE(leaves_open(verdict, "other-histories"));
  options.witness_threshold = 2;
  expect_only(audit::verify(options), Code::kAbsent, "witnesses");
}

TEST(History, NotesThatAreTooMuchToRead) {
  rows({12, 37});
  const RecordedRun run = fresh_copy({});
  const std::string good = note_of(run);
  std::string many = good, crlf = good, nul = good;
  for (int i = 0; i < 1000000; ++i) many += "— n AAAAAAA=\n";
  crlf.insert(good.find('\n'), "\r");
  nul.insert(3, 1, '\0');
  for (const std::string& bad : {many, crlf, nul, std::string(1 << 24, 'x'), good + "\n"}) {
    write_file(trace::Layout{run.trace()}.checkpoint(), bad);
    expect_only(audit::verify(run.options()), Code::kFormat, "checkpoint");
    audit::VerifyOptions options = run.options();
    options.checkpoint = run.root / "received";
    write_file(*options.checkpoint, bad);
    expect_among(audit::verify(options), Code::kFormat);
  }
  // The key's own line twice is no contradiction; each must verify.
  seal::Note twice = seal::Note::parse(good);
  twice.signatures.push_back(twice.signatures[0]);
  write_file(trace::Layout{run.trace()}.checkpoint(), twice.to_text());
  EXPECT_EQ(audit::verify(run.options()).outcome, audit::Outcome::kAccept);
}

}  // namespace
}  // namespace aftune::attacks
