#include "audit/history_check.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "audit/cosigning.h"
#include "audit/known_notes.h"
#include "base/error.h"
#include "faults.h"
#include "hash/merkle.h"
#include "scratch.h"
#include "seal/cosignature.h"

namespace aftune::audit {
namespace {

using seal::KeyUse;
using seal::SecretKey;
using testing_support::Scratch;
using testing_support::usage;

const std::string kOrigin = "audit.example/acme/01";

SecretKey provider() {
  return SecretKey::from_seed("audit.example/acme", {1});
}

SecretKey witness(std::uint8_t n) {
  return SecretKey::from_seed(cat("witness.example/w", int{n}), {9, n}, KeyUse::kWitness);
}

hash::MerkleTree tree_of(std::uint64_t size, const std::string& history = "") {
  hash::MerkleTree tree;
  for (std::uint64_t i = 0; i < size; ++i) tree.append(hash::leaf_hash(cat(history, i)));
  return tree;
}

std::string note_of(const hash::MerkleTree& tree, std::uint64_t size, const std::string& origin = kOrigin) {
  return seal::sign_checkpoint({origin, size, tree.root(size)}, provider()).to_text();
}

TEST(CheckExtends, BothNotesMustBeSignedAndTheProofHold) {
  const hash::MerkleTree tree = tree_of(9), other = tree_of(9, "x");
  const seal::PublicKey key = provider().public_key();
  const auto proof = tree.consistency(4, 9);
  EXPECT_EQ(check_extends(note_of(tree, 4), note_of(tree, 9), proof, key), "");
  EXPECT_EQ(check_extends(note_of(other, 4), note_of(tree, 9), proof, key),
            "the proof does not show that size 9 extends size 4");
  EXPECT_EQ(check_extends(note_of(tree, 4), note_of(other, 9), proof, key),
            "the proof does not show that size 9 extends size 4");
  EXPECT_EQ(check_extends(note_of(tree, 9), note_of(tree, 4), proof, key),
            "it seals 4 leaves, the earlier checkpoint 9");
  const seal::PublicKey stranger = SecretKey::from_seed("audit.example/acme", {2}).public_key();
  EXPECT_EQ(check_extends(note_of(tree, 4), note_of(tree, 9), proof, stranger),
            "the earlier checkpoint is not signed by " + stranger.vkey());
  EXPECT_THROW(check_extends("garbage", note_of(tree, 9), proof, key), Error);
}

TEST(KnownNotes, AreKeptInOrderAndOnce) {
  const Scratch scratch("known");
  const fs::path path = scratch / "known";
  const hash::MerkleTree tree = tree_of(9);
  {
    KnownNotes known(path);
    EXPECT_EQ(known.latest(kOrigin), nullptr);
    known.add(note_of(tree, 8));
    known.add(note_of(tree, 3));
    known.add(note_of(tree, 8));
    known.add(note_of(tree, 9, "audit.example/acme/02"));
  }
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const KnownNotes known(path);
  ASSERT_EQ(known.notes().size(), 3u);
  EXPECT_EQ(known.notes()[1].note.to_text(), note_of(tree, 3));
  ASSERT_NE(known.latest(kOrigin), nullptr);
  EXPECT_EQ(known.latest(kOrigin)->checkpoint.size, 8u);
  EXPECT_NE(usage([&] { KnownNotes{path}; }).find("in use by another process"), std::string::npos);
}

// Killed while it wrote: what was whole stays, and the next note is whole again.
TEST(KnownNotes, ATornEntryIsCutWhereverItWasTorn) {
  const Scratch scratch("known");
  const fs::path path = scratch / "known";
  const hash::MerkleTree tree = tree_of(9);
  KnownNotes(path).add(note_of(tree, 3));
  const std::string whole = read_file(path, 1 << 20);
  KnownNotes(path).add(note_of(tree, 4));
  const std::string both = read_file(path, 1 << 20);
  for (std::size_t size = 0; size < both.size(); ++size) {
    write_file(path, both.substr(0, size));
    KnownNotes known(path);
    const std::size_t kept = size < whole.size() ? 0u : 1u;
    ASSERT_EQ(known.notes().size(), kept) << size;
    known.add(note_of(tree, 4));
    ASSERT_EQ(known.notes().size(), kept + 1);
    ASSERT_EQ(read_file(path, 1 << 20), kept == 1 ? both : whole.substr(0, 15) + both.substr(whole.size()));
  }
}

TEST(KnownNotes, RefusesEveryOtherForm) {
  const Scratch scratch("known");
  const fs::path path = scratch / "known";
  const std::string note = note_of(tree_of(3), 3);
  const auto refused = [&](const std::string& text) {
    write_file(path, text);
    const std::string why = usage([&] { KnownNotes{path}; });
    EXPECT_TRUE(why.starts_with(path.native() + ": ")) << why;
    EXPECT_EQ(read_file(path, 1 << 20), text);
    return why.substr(path.native().size() + 2);
  };
  const std::string head = "aftune-known/1\n";
  EXPECT_EQ(refused("aftune-known/2\n"), "not a file of known notes");
  EXPECT_EQ(refused(note), "not a file of known notes");
  EXPECT_EQ(refused(head + note), "note 1: no \"note\" line where one must be");
  EXPECT_EQ(refused(head + "note 1234567"), "note 1: no \"note\" line where one must be");
  EXPECT_EQ(refused(head + "note 0100\n" + note),
            "note 1: a note's size is not a decimal number without leading zeros");
  EXPECT_EQ(refused(head + "note 99999\n" + note), "note 1: a note of 99999 bytes");
  EXPECT_EQ(refused(cat(head, "note ", note.size() - 1, '\n', note)), "note 1: a note has a torn last line");
  EXPECT_EQ(refused(cat(head, "note ", note.size(), '\n', note, "\n")),
            "note 2: no \"note\" line where one must be");
}

struct Judged {
  Verdict verdict;
  bool enough = false;
};

Judged judge(const seal::Note& note, const std::vector<std::string>& vkeys, int threshold) {
  Judged out;
  Findings findings(out.verdict);
  out.enough = check_witnesses(note.to_text(), vkeys, threshold, provider().public_key(), findings);
  return out;
}

TEST(Witnesses, TheThresholdIsOfDifferentWitnessesWithAValidLine) {
  seal::Note note = seal::Note::parse(note_of(tree_of(5), 5));
  const std::vector<std::string> vkeys{witness(1).public_key().vkey(), witness(2).public_key().vkey(),
                                       witness(3).public_key().vkey()};
  const auto reason = [&](int threshold) {
    const Judged seen = judge(note, vkeys, threshold);
    EXPECT_FALSE(seen.enough);
    EXPECT_EQ(seen.verdict.reasons.size(), 1u);
    if (seen.verdict.reasons.empty()) return std::string();
    EXPECT_EQ(seen.verdict.reasons[0].code, Code::kAbsent);
    EXPECT_EQ(seen.verdict.reasons[0].where, "witnesses");
    return seen.verdict.reasons[0].detail;
  };
  EXPECT_EQ(reason(1), "0 of the 1 cosignatures asked for");
  note.signatures.push_back(seal::cosign(note, witness(1), 5));
  note.signatures.push_back(seal::cosign(note, witness(1), 6));
  note.signatures.push_back(seal::cosign(note, witness(4), 6));
  EXPECT_TRUE(judge(note, vkeys, 1).enough);
  EXPECT_EQ(reason(2), "1 of the 2 cosignatures asked for");
  note.signatures.push_back(seal::cosign(note, witness(2), 7));
  note.signatures.back().signature[9] ^= std::byte{1};
  EXPECT_EQ(reason(2), "1 of the 2 cosignatures asked for; a line by witness.example/w2 does not verify");
  note.signatures.push_back(seal::cosign(note, witness(3), 7));
  const Judged seen = judge(note, vkeys, 2);
  EXPECT_TRUE(seen.enough);
  EXPECT_TRUE(seen.verdict.reasons.empty());
  EXPECT_EQ(
      seen.verdict.unchecked,
      std::vector<std::string>{"witnesses: enough cosigned; a line by witness.example/w2 does not verify"});
}

TEST(Witnesses, APolicyThatNoOneCanMeet) {
  const seal::Note note = seal::Note::parse(note_of(tree_of(5), 5));
  const std::string one = witness(1).public_key().vkey();
  const auto own = SecretKey::from_seed("w", {1}, KeyUse::kWitness).public_key();
  EXPECT_EQ(usage([&] { judge(note, {one}, 2); }), "witnesses: 2 of 1 cannot be asked for");
  EXPECT_EQ(usage([&] { judge(note, {one}, 0); }), "witnesses: 0 of 1 cannot be asked for");
  EXPECT_EQ(usage([&] { judge(note, {own.vkey()}, 1); }), "witness w has the provider's own key");
  EXPECT_EQ(usage([&] {
              judge(note, {one, one}, 1);
            }),
            "witnesses witness.example/w1 and witness.example/w1 have one key");
}

TEST(Cosign, AWitnessFollowsOneHistory) {
  const Scratch scratch("cosign");
  KnownNotes known(scratch / "known");
  const hash::MerkleTree tree = tree_of(12), fork = tree_of(12, "x");
  const auto ask = [&](const hash::MerkleTree& t, std::uint64_t size, std::optional<std::uint64_t> from) {
    CosignRequest request{
        .note = note_of(t, size), .log_key = provider().public_key(), .consistency = {}, .time = 5};
    if (from) request.consistency = seal::ConsistencyProof{*from, t.consistency(*from, size), request.note};
    return cosign(request, witness(1), &known);
  };
  const Cosigned first = ask(tree, 4, {});
  EXPECT_EQ(first.problem, "");
  EXPECT_EQ(seal::count_witnesses(seal::Note::parse(first.note), {witness(1).public_key()}), 1);
  EXPECT_EQ(ask(tree, 4, {}).problem, "");
  EXPECT_EQ(ask(tree, 9, {}).problem,
            "size 4 of this log was cosigned; no proof that this checkpoint extends it");
  EXPECT_EQ(ask(tree, 9, 3).problem, "the proof is from size 3, and size 4 was cosigned");
  EXPECT_EQ(ask(fork, 9, 4).problem, "the proof does not show that size 9 extends size 4");
  EXPECT_EQ(ask(fork, 4, 4).problem.substr(0, 19), "two roots of size 4");
  EXPECT_EQ(ask(tree, 9, 4).problem, "");
  EXPECT_EQ(ask(tree, 4, 4).problem, "it seals 4 leaves, the earlier checkpoint 9");
  EXPECT_EQ(ask(fork, 12, 4).note, "");
  CosignRequest request{.note = note_of(tree, 12), .log_key = {}, .consistency = {}, .time = 5};
  request.consistency = seal::ConsistencyProof{9, tree.consistency(9, 12), note_of(fork, 12)};
  EXPECT_EQ(cosign(request, witness(1), &known).problem, "the proof is for another checkpoint");
  EXPECT_EQ(known.notes().size(), 2u);
}

TEST(Cosign, OnlyWhatTheLogsKeySigned) {
  const hash::MerkleTree tree = tree_of(4);
  CosignRequest request{.note = note_of(tree, 4), .log_key = {}, .consistency = {}, .time = 5};
  request.log_key = SecretKey::from_seed("audit.example/acme", {2}).public_key();
  EXPECT_EQ(cosign(request, witness(1), nullptr).problem, "not signed by " + request.log_key->vkey());
  request.log_key = provider().public_key();
  const Cosigned once = cosign(request, witness(1), nullptr);
  request.note = once.note;
  EXPECT_EQ(cosign(request, witness(1), nullptr).note, once.note);
  for (request.time = 6; request.time < 68; ++request.time)
    request.note = cosign(request, witness(1), nullptr).note;
  EXPECT_THROW(cosign(request, witness(1), nullptr), Error);  // the 65th line
}

}  // namespace
}  // namespace aftune::audit
