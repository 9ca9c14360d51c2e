#include "trace/commit.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "scratch.h"
#include "seal/cosignature.h"
#include "sealable_log.h"
#include "trace/leaf_hashes.h"

namespace aftune::trace {
namespace {

using testing_support::Scratch;
using testing_support::SealableLog;

Commitment seal_log(const SealableLog& log, const CommitOptions& options = {}) {
  return commit(log.layout(), SealableLog::key(), options);
}

std::string text_of(const fs::path& path) {
  return read_file(path, 1 << 24);
}

// The files that sealing writes are those of a log sealed at once.
void expect_sealed(const SealableLog& log) {
  const hash::MerkleTree tree = log.tree();
  const auto note = seal::Note::parse(text_of(log.layout().checkpoint()));
  EXPECT_EQ(seal::check_note(note, SealableLog::key().public_key()), seal::NoteCheck::kValid);
  EXPECT_EQ(note.text, (seal::Checkpoint{SealableLog::origin(), tree.size(), tree.root()}).to_text());
  const auto proof = seal::LeafProof::parse(text_of(log.layout().manifest_proof()));
  EXPECT_TRUE(hash::verify_inclusion(tree.leaves()[0], 0, tree.size(), proof.proof, tree.root()));
  EXPECT_EQ(seal::Note::parse(proof.note).text, note.text);
  const std::string hashes = text_of(log.layout().leaf_hashes());
  ASSERT_EQ(hashes.size(), 32 * tree.size() + 8);
  for (std::size_t i = 0; i < tree.size(); ++i)
    ASSERT_EQ(hashes.substr(32 * i, 32), as_text(as_bytes(tree.leaves()[i]))) << i;
}

TEST(Commit, OnlyLinesThatAreNotSealedAreHashed) {
  const Scratch scratch("commit");
  SealableLog log(scratch / "run.aft");
  for (const std::uint64_t more : {0u, 1u, 2u, 5u, 300u, 1u}) {
    log.grow(more);
    const Commitment made = seal_log(log);
    EXPECT_EQ(made.problem, "");
    EXPECT_EQ(made.hashed, log.size() == 1 ? 1 : more);
    EXPECT_EQ(made.checkpoint.root, log.tree().root());
    expect_sealed(log);
  }
  EXPECT_EQ(seal_log(log).hashed, 0u);
  EXPECT_EQ(seal_log(log, {.rehash = true}).hashed, log.size());
  expect_sealed(log);
}

TEST(Commit, HashesAllWhereTheStoredHashesAreNotTheSealedOnes) {
  const Scratch scratch("commit");
  SealableLog log(scratch / "run.aft");
  log.grow(20);
  seal_log(log);
  const fs::path path = log.layout().leaf_hashes();
  const std::string good = text_of(path);
  log.grow(3);
  std::string flipped = good, shifted = good, far = good;
  flipped[77] ^= 1;
  shifted[good.size() - 8] ^= 1;
  far[good.size() - 1] = '\x7f';
  for (const std::string& bad :
       {std::string(), flipped, shifted, far, good.substr(0, 32 * 20), good.substr(0, 99)}) {
    write_file(path, bad);
    const fs::path note = log.layout().checkpoint();
    const std::string sealed = text_of(note);
    EXPECT_EQ(seal_log(log).hashed, log.size());
    expect_sealed(log);
    write_file(note, sealed);  // as it was before
  }
  fs::remove(path);
  EXPECT_EQ(seal_log(log).hashed, log.size());
}

// A file of an earlier form, and one that was written before a checkpoint that never was.
TEST(Commit, HashesOnlyWhatIsNotSealedWhereTheFileSaysNotWhereThatBegins) {
  const Scratch scratch("commit");
  SealableLog log(scratch / "run.aft");
  log.grow(20);
  seal_log(log);
  const std::string hashes = text_of(log.layout().leaf_hashes()), note = text_of(log.layout().checkpoint());
  write_file(log.layout().leaf_hashes(), hashes.substr(0, hashes.size() - 8));
  log.grow(4);
  EXPECT_EQ(seal_log(log).hashed, 4u);
  expect_sealed(log);
  write_file(log.layout().checkpoint(), note);
  log.grow(2);
  EXPECT_EQ(seal_log(log).hashed, 6u);
  expect_sealed(log);
}

TEST(Commit, AChangedSealedLine) {
  const Scratch scratch("commit");
  SealableLog log(scratch / "run.aft");
  log.grow(20);
  seal_log(log);
  const std::string note = text_of(log.layout().checkpoint());
  const auto refuses = [&](std::size_t index, const std::string& line, const CommitOptions& options) {
    const std::string was = log.line(index);
    log.rewrite(index, line);
    EXPECT_EQ(seal_log(log, options).problem,
              cat(log.layout().checkpoint().native(),
                  ": the log does not extend what this checkpoint seals: the log's "
                  "first 21 leaves are not the ones it seals; nothing was signed"));
    EXPECT_EQ(text_of(log.layout().checkpoint()), note);
    log.rewrite(index, was);
  };
  std::string other = log.line(7);
  other[8] ^= 1;
  refuses(7, other, {.rehash = true});
  refuses(7, other + "x", {});
  other = log.line(20);
  other[8] ^= 1;
  refuses(20, other, {});
  EXPECT_EQ(seal_log(log).problem, "");
}

TEST(Commit, ProvesThatItExtendsAnEarlierNote) {
  const Scratch scratch("commit");
  SealableLog log(scratch / "run.aft");
  std::vector<fs::path> notes;
  for (int i = 0; i < 12; ++i) {
    seal_log(log);
    notes.push_back(scratch / cat("note-", i));
    fs::copy_file(log.layout().checkpoint(), notes.back());
    log.grow(static_cast<std::uint64_t>(i) + 1);
  }
  for (const fs::path& since : notes) {
    const Commitment made = seal_log(log, {.since = since});
    ASSERT_TRUE(made.consistency);
    const auto read = seal::ConsistencyProof::parse(made.consistency->to_text());
    const auto old = seal::Checkpoint::parse(seal::Note::parse(text_of(since)).text);
    EXPECT_EQ(read.old_size, old.size);
    EXPECT_EQ(read.note, text_of(log.layout().checkpoint()));
    EXPECT_EQ(seal::extension_problem(old, made.checkpoint, read.proof), "");
  }
}

TEST(Commit, WhatANoteSinceMustBe) {
  const Scratch scratch("commit");
  SealableLog log(scratch / "run.aft");
  log.grow(5);
  const fs::path since = scratch / "since";
  const auto put = [&](const seal::Checkpoint& c, const seal::SecretKey& key) {
    write_file(since, seal::sign_checkpoint(c, key).to_text());
  };
  const auto key = SealableLog::key();
  const auto fault = [&] {
    try {
      seal_log(log, {.since = since});
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kUsage);
      return std::string(e.what()).substr(since.native().size() + 2);
    }
    return std::string("accepted");
  };
  const std::string origin = SealableLog::origin();
  put({origin, 3, log.tree().root(3)}, seal::SecretKey::from_seed("audit.example/acme", {2}));
  EXPECT_EQ(fault(), "is not signed by " + key.public_key().vkey());
  put({origin + "0", 3, log.tree().root(3)}, key);
  EXPECT_EQ(fault(), cat("seals ", origin, "0, not ", origin));
  put({origin, 0, log.tree().root(0)}, key);
  EXPECT_EQ(fault(), "is of an empty log, which every log extends");
  EXPECT_FALSE(fs::exists(log.layout().checkpoint()));
  put({origin, 3, log.tree().root(4)}, key);
  EXPECT_NE(seal_log(log, {.since = since}).problem.find("first 3 leaves are not"), std::string::npos);
  put({origin, 7, log.tree().root(4)}, key);
  EXPECT_NE(seal_log(log, {.since = since}).problem.find("it seals 7 leaves, and the log has 6"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(log.layout().checkpoint()));
}

TEST(Commit, CosignaturesOfTheSameLogStay) {
  const Scratch scratch("commit");
  SealableLog log(scratch / "run.aft");
  seal_log(log);
  seal::Note note = seal::Note::parse(text_of(log.layout().checkpoint()));
  const auto witness = seal::SecretKey::from_seed("witness.example/w1", {3}, seal::KeyUse::kWitness);
  note.signatures.push_back(seal::cosign(note, witness, 1700000000));
  write_file(log.layout().checkpoint(), note.to_text());
  seal_log(log);
  EXPECT_EQ(text_of(log.layout().checkpoint()), note.to_text());
  log.grow(1);
  seal_log(log);
  EXPECT_EQ(seal::Note::parse(text_of(log.layout().checkpoint())).signatures.size(), 1u);
}

TEST(Commit, AWitnesssKeySealsNothing) {
  const Scratch scratch("commit");
  const SealableLog log(scratch / "run.aft");
  const auto witness = seal::SecretKey::from_seed("audit.example/acme", {1}, seal::KeyUse::kWitness);
  EXPECT_THROW(commit(log.layout(), witness), Error);
}

}  // namespace
}  // namespace aftune::trace
