#include "serve/recorder.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/error.h"
#include "base/json.h"
#include "digests.h"
#include "scratch.h"

namespace aftune::serve {
namespace {

using testing_support::digest;
using testing_support::Scratch;

record::ServingManifest small_manifest() {
  record::ServingManifest m;
  m.created = 1700000000;
  m.software = "aftune 0.1.0";
  m.config = "{}";
  m.base = {DType::kF32, {digest(1)}, digest(3)};
  m.default_tokens = 16;
  m.most_tokens = 64;
  m.merge_delay = 60;
  return m;
}

record::Exchange exchange(int number) {
  return {.endpoint = "batch",
          .request = cat("{\"id\":", number, "}"),
          .ask = 0,
          .prompt = {1, number},
          .tokens = {number, 2},
          .text = cat("text ", number),
          .finish = "stop"};
}

class RecorderTest : public testing::Test {
 protected:
  RecordOptions options(bool resume = false) {
    return {.trace = scratch_ / "trace",
            .key = &key_,
            .resume = resume,
            .checkpoint_leaves = 4096,
            .roll_bytes = 400,
            .now = [this] { return time_.load(); }};
  }
  trace::Layout layout() const { return {scratch_ / "trace"}; }
  seal::Checkpoint sealed() const {
    const auto note = seal::Note::parse(read_file(layout().checkpoint(), 1 << 16));
    EXPECT_EQ(seal::check_note(note, key_.public_key()), seal::NoteCheck::kValid);
    return seal::Checkpoint::parse(note.text);
  }
  /// Records answers [from, to) and gives their receipts.
  std::vector<seal::Receipt> record(Recorder& recorder, int from, int to) {
    std::vector<seal::Receipt> receipts;
    for (int i = from; i < to; ++i)
      recorder.add(exchange(i), {digest(i)}, [&](const Recorder::Outcome& outcome) {
        ASSERT_TRUE(outcome.receipt) << outcome.problem;
        EXPECT_TRUE(outcome.receipt->verify(key_.public_key()));
        receipts.push_back(outcome.receipt->receipt);
      });
    recorder.close(false);
    return receipts;
  }
  void expect_in_log(const std::vector<seal::Receipt>& receipts) {
    const trace::Log log = trace::Log::read(layout().log());
    const seal::Checkpoint checkpoint = sealed();
    EXPECT_EQ(checkpoint.size, log.leaves.size());
    EXPECT_EQ(checkpoint.root, log.tree().root());
    for (const seal::Receipt& r : receipts) {
      ASSERT_LT(r.index, log.leaves.size());
      EXPECT_EQ(hash::leaf_hash(log.leaves[r.index]), r.leaf);
      EXPECT_EQ(r.origin, checkpoint.origin);
    }
  }

  Scratch scratch_{"recorder"};
  seal::SecretKey key_ = seal::SecretKey::from_seed("audit.example/acme", {7});
  std::atomic<std::int64_t> time_{1700000000};
};

TEST_F(RecorderTest, WhatWasPromisedIsInTheLogAndTheJournal) {
  std::vector<seal::Receipt> receipts;
  {
    Recorder recorder(options(), small_manifest());
    EXPECT_EQ(recorder.checkpoint().size, 1u);
    receipts = record(recorder, 0, 20);
  }
  ASSERT_EQ(receipts.size(), 20u);
  expect_in_log(receipts);
  EXPECT_TRUE(fs::exists(layout().journal(0)));
  const trace::Journal journal(layout());
  EXPECT_EQ(journal.size(), 20);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(receipts[static_cast<std::size_t>(i)].index, static_cast<std::uint64_t>(i) + 1);
    EXPECT_EQ(record::to_journal(1, journal.read(i + 1)), record::to_journal(1, exchange(i)));
    EXPECT_EQ(receipts[static_cast<std::size_t>(i)].answer, record::answer_digest(exchange(i)));
  }
  EXPECT_THROW(journal.read(21), Error);
}

TEST_F(RecorderTest, GoesOnWithATraceOfTheSameModelOnly) {
  std::vector<seal::Receipt> receipts;
  {
    Recorder recorder(options(), small_manifest());
    receipts = record(recorder, 0, 3);
  }
  EXPECT_THROW(Recorder(options(), small_manifest()), Error);  // without --resume
  record::ServingManifest other = small_manifest();
  other.base.root = digest(8);
  EXPECT_THROW(Recorder(options(true), other), Error);
  {
    record::ServingManifest later = small_manifest();
    later.created = 1800000000;
    Recorder recorder(options(true), later);
    for (const seal::Receipt& r : record(recorder, 3, 6)) receipts.push_back(r);
  }
  ASSERT_EQ(receipts.size(), 6u);
  EXPECT_EQ(receipts.back().index, 6u);
  expect_in_log(receipts);
}

TEST_F(RecorderTest, AnEndedPeriodStaysEnded) {
  {
    Recorder recorder(options(), small_manifest());
    recorder.add(exchange(1), {digest(1)}, [](const Recorder::Outcome&) {});
    recorder.close(true);
  }
  const trace::Log log = trace::Log::read(layout().log());
  const record::ServingFinal final = record::parse_serving_final(log.leaves.back());
  EXPECT_EQ(final.answers, 1);
  EXPECT_EQ(final.prompt_tokens, 2);
  EXPECT_THROW(Recorder(options(true), small_manifest()), Error);
}

// A process that was killed between journal and log leaves a line that no receipt speaks of.
TEST_F(RecorderTest, AJournalThatIsAheadIsCut) {
  std::vector<seal::Receipt> receipts;
  {
    Recorder recorder(options(), small_manifest());
    receipts = record(recorder, 0, 3);
  }
  const std::string before = read_file(layout().journal(0), 1 << 20);
  for (const std::string& extra : {record::to_journal(4, exchange(9)) + "\n", std::string("{\"torn")}) {
    write_file(layout().journal(0), before + extra);
    Recorder recorder(options(true), small_manifest());
    recorder.close(false);
    EXPECT_EQ(read_file(layout().journal(0), 1 << 20), before);
  }
  write_file(layout().journal(0), before.substr(0, before.size() - 2));
  EXPECT_THROW(Recorder(options(true), small_manifest()), Error);
}

// What follows a checkpoint must begin with what it seals, or the key would contradict itself.
TEST_F(RecorderTest, ALogThatLostSealedLeavesIsNotGoneOnWith) {
  {
    Recorder recorder(options(), small_manifest());
    record(recorder, 0, 3);
  }
  const std::string log = read_file(layout().log(), 1 << 20);
  write_file(layout().log(), log.substr(0, log.rfind('\n', log.size() - 2) + 1));
  EXPECT_THROW(Recorder(options(true), small_manifest()), Error);
}

TEST_F(RecorderTest, SignsACheckpointInTime) {
  Recorder recorder(options(), small_manifest());
  std::atomic<bool> done = false;
  recorder.add(exchange(1), {digest(1)}, [&](const Recorder::Outcome&) { done = true; });
  while (!done) std::this_thread::yield();
  EXPECT_EQ(recorder.checkpoint().size, 1u);
  time_ += 30;
  for (int i = 0; i < 200 && recorder.checkpoint().size == 1; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(recorder.checkpoint().size, 2u);
  EXPECT_EQ(sealed().size, 2u);
}

// While answers are recorded, anybody may ask for proofs.
TEST_F(RecorderTest, ProvesWhatItsCheckpointSealsAndNothingElse) {
  RecordOptions often = options();
  often.checkpoint_leaves = 1;
  Recorder recorder(often, small_manifest());
  std::atomic<int> done = 0, proofs = 0;
  const auto check = [&](std::uint64_t leaf) {
    const auto proof = recorder.proof(leaf);
    if (!proof) return false;
    const auto note = seal::Note::parse(proof->note);
    EXPECT_EQ(seal::check_note(note, key_.public_key()), seal::NoteCheck::kValid);
    const auto sealed = seal::Checkpoint::parse(note.text);
    const Digest hash = hash::leaf_hash(trace::Log::read(layout().log()).leaves[leaf]);
    EXPECT_TRUE(hash::verify_inclusion(hash, leaf, sealed.size, proof->proof, sealed.root));
    return true;
  };
  std::thread asker([&] {
    while (done < 40) proofs += check(0) ? 1 : 0;
  });
  for (int i = 0; i < 40; ++i) recorder.add(exchange(i), {digest(i)}, [&](const auto&) { ++done; });
  asker.join();
  EXPECT_GT(proofs, 0);
  for (int i = 0; i < 200 && recorder.checkpoint().size < 41; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  for (std::uint64_t leaf = 0; leaf < 41; ++leaf) EXPECT_TRUE(check(leaf)) << leaf;
  EXPECT_FALSE(recorder.proof(41));
  EXPECT_EQ(recorder.proof(40)->note, recorder.note());
  recorder.close(false);
}

TEST_F(RecorderTest, AFailureIsToldAndLeavesTheLogWhole) {
  Recorder recorder(options(), small_manifest());
  record::Exchange bad = exchange(1);
  bad.text = "\xff";  // no JSON can carry it
  std::string problem;
  recorder.add(bad, {digest(1)}, [&](const Recorder::Outcome& outcome) { problem = outcome.problem; });
  EXPECT_THROW(recorder.close(false), Error);
  EXPECT_NE(problem.find("could not be recorded"), std::string::npos);
  EXPECT_TRUE(recorder.failed());
  EXPECT_EQ(trace::Log::read(layout().log()).leaves.size(), 1u);
}

}  // namespace
}  // namespace aftune::serve
