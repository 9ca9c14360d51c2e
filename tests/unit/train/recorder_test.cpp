#include "train/recorder.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <map>
#include <thread>

#include "base/error.h"
#include "hdf5_leaks.h"
#include "scratch.h"
#include "seal/note.h"
#include "toy_run.h"
#include "trace/layout.h"
#include "trace/log.h"
#include "train/recorded_log.h"

namespace aftune::train {
namespace {

using testing_support::Scratch;
using trace::Layout;
using trace::Log;
using trace::SegmentReader;

constexpr std::int64_t kAll = 1000;

std::string text_of(const fs::path& path) {
  return fs::exists(path) ? read_file(path, 1 << 24) : "";
}

void overwrite(const fs::path& path, std::string_view text) {
  fs::remove(path);
  std::ofstream(path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
}

// Everything in a folder except the lock, by name.
std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& e : fs::directory_iterator(folder))
    if (e.path().filename() != "lock") files[e.path().filename()] = text_of(e.path());
  return files;
}

// Names of the files in which two folders differ.
std::string differences(const std::map<std::string, std::string>& a,
                        const std::map<std::string, std::string>& b) {
  std::string names;
  for (const auto& [name, text] : a)
    if (const auto at = b.find(name); at == b.end() || at->second != text) names += name + " ";
  for (const auto& [name, text] : b)
    if (!a.contains(name)) names += name + " ";
  return names;
}

std::string message_of(const std::function<void()>& body, Fault fault) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), fault) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

struct RecorderTest : testing::Test {
  Scratch scratch{"recorder"};
  fs::path path = scratch / "run.aft";
  Layout layout{path};

  toy::Run run(std::int64_t interval = 2) const {
    return {.options = {.trace = path, .snapshot_interval = interval},
            .manifest = toy::manifest(),
            .before_step = {}};
  }
  toy::Run resumed(std::int64_t interval = 2) const {
    toy::Run r = run(interval);
    r.options.resume = true;
    return r;
  }
  /// Log and files of a run that was never interrupted.
  std::map<std::string, std::string> whole(std::int64_t interval = 2) {
    run(interval).go(kAll);
    std::map<std::string, std::string> files = contents(path);
    fs::remove_all(path);
    return files;
  }
};

// Salts depend on nothing but the place of a digest: an interruption leaves no mark.
TEST_F(RecorderTest, WithHidingAnInterruptedRunIsTheSameLog) {
  toy::Run hidden = run();
  hidden.secret = hash::blake3("secret");
  hidden.go(kAll);
  const auto whole = contents(path);
  EXPECT_EQ(whole.at("hiding.key"), to_hex(*hidden.secret) + '\n');
  for (std::int64_t stop = 0; stop < hidden.manifest.grid.steps; ++stop) {
    fs::remove_all(path);
    hidden.options.resume = false;
    hidden.go(stop);
    hidden.options.resume = true;
    hidden.go(kAll);
    EXPECT_EQ(differences(contents(path), whole), "") << "stopped at " << stop;
  }
}

TEST_F(RecorderTest, AnotherSecretTouchesNothing) {
  toy::Run hidden = run();
  hidden.secret = hash::blake3("secret");
  hidden.go(3);
  const auto before = contents(path);
  hidden.options.resume = true;
  hidden.secret = hash::blake3("another");
  EXPECT_NE(message_of([&] { hidden.go(kAll); }, Fault::kUsage).find("hiding_key"), std::string::npos);
  hidden.secret.reset();
  EXPECT_NE(message_of([&] { hidden.go(kAll); }, Fault::kUsage).find("hiding"), std::string::npos);
  EXPECT_EQ(differences(contents(path), before), "");
}

// Equal layouts, frozen parameters: what a step or state publishes has never been published before.
TEST_F(RecorderTest, WithHidingNothingPublishedComesTwice) {
  const auto repeated = [&](const std::optional<record::RunSecret>& secret) {
    fs::remove_all(path);
    toy::Run r = run();
    r.secret = secret;
    r.go(kAll);
    const Log log = Log::read(layout.log());
    std::map<Digest, int> seen;
    int again = 0;
    for (std::int64_t t = 0; t < r.manifest.grid.steps; ++t) {
      const record::Step s = record::parse_step(log.leaves.at(r.manifest.grid.step_leaf(t)), r.manifest.grid);
      for (const auto& list : {std::vector{s.layout, s.token_ids, s.labels}, s.activations, s.gradients})
        for (const Digest& digest : list) again += seen[digest]++ > 0 ? 1 : 0;
    }
    return again;
  };
  EXPECT_GT(repeated(std::nullopt), 0);
  EXPECT_EQ(repeated(hash::blake3("secret")), 0);
}

TEST_F(RecorderTest, EveryLeafIsAtItsIndexAndParses) {
  run().go(kAll);
  const Log log = Log::read(layout.log());
  const record::Manifest m = record::parse_manifest(log.leaves.at(0));
  ASSERT_EQ(static_cast<std::int64_t>(log.leaves.size()), m.grid.log_size());
  EXPECT_EQ(record::to_leaf(m), record::to_leaf(toy::manifest()));
  for (std::int64_t t = 0; t < m.grid.steps; ++t) {
    const record::Step s = record::parse_step(log.leaves.at(m.grid.step_leaf(t)), m.grid);
    EXPECT_EQ(s.step, t);
    EXPECT_EQ(s.epoch, 2 * t / 5);
    EXPECT_EQ(s.tokens, 5);
  }
  for (std::int64_t s = 0; s <= m.grid.step_blocks(); ++s)
    EXPECT_EQ(record::parse_state(log.leaves.at(m.grid.state_leaf(s)), m.grid).state, s);
  const record::Final f = record::parse_final(log.leaves.back(), m.grid, 1);
  EXPECT_EQ(f.positions, 14);
  EXPECT_EQ(f.tokens, 35);
  EXPECT_EQ(f.predicted, 21);
}

TEST_F(RecorderTest, WhatIsStoredHasTheDigestsInTheLog) {
  toy::Run r = run();
  r.options.store_boundaries = true;
  const Blocks last = r.go(kAll);
  const Log log = Log::read(layout.log());
  const record::Grid& grid = r.manifest.grid;
  for (std::int64_t t = 0; t < grid.steps; ++t) {
    const record::Step s = record::parse_step(log.leaves.at(grid.step_leaf(t)), grid);
    const SegmentReader segment(layout.segment(Layout::segment_of_step(grid, t)));
    EXPECT_EQ(data::ints_digest(segment.read_ints(trace::step_dataset(t, "tokens"), 100)), s.token_ids);
    EXPECT_EQ(data::ints_digest(segment.read_ints(trace::step_dataset(t, "labels"), 100)), s.labels);
    EXPECT_EQ(data::ints_digest(segment.read_ints(trace::step_dataset(t, "layout"), 100)), s.layout);
    for (int b = 0; b < grid.boundaries(); ++b) {
      const auto digest = [&](const std::string& p) {
        return hash::blake3(segment.read(p, DType::kF32, {5, 4}));
      };
      EXPECT_EQ(digest(trace::activation_dataset(t, b)), s.activations.at(b));
      EXPECT_EQ(digest(trace::gradient_dataset(t, b)), s.gradients.at(b));
      EXPECT_EQ(hash::blake3(toy::boundary(t, b, 0, 5, 0).bytes()), s.activations.at(b));
    }
  }
  const SegmentReader end(layout.segment(grid.step_blocks()));
  for (const auto& block : last)
    for (const model::Parameter& p : block->parameters())
      EXPECT_EQ(hash::blake3(end.read(trace::state_dataset(p.spec.name), DType::kF32, p.spec.shape)),
                hash::blake3(p.value.bytes()));
}

// restore() compares the snapshot with the leaf.
TEST_F(RecorderTest, AStateIsWrittenAsItWasThoughTheNextUpdateComesAtOnce) {
  const record::Manifest m = toy::manifest();
  ThreadPool pool(2);
  for (const bool compress : {false, true}) {
    RecordOptions options{.trace = path, .compress = compress};
    {
      Blocks model = toy::large_blocks(m);
      Recorder recorder(options, m, pool);
      recorder.begin(model);
      recorder.observer(0).before_update();
      for (const auto& block : model)
        for (model::Parameter& p : block->parameters())
          for (Buffer* b : {&p.value, p.moments.data(), p.moments.data() + 1})
            std::memset(b->data(), 0, b->bytes().size());
    }
    options.resume = true;
    Blocks model = toy::large_blocks(m);
    Recorder recorder(options, m, pool);
    ASSERT_EQ(recorder.resume_state(model), 0);
    recorder.restore(model);
    fs::remove_all(path);
  }
}

TEST_F(RecorderTest, SnapshotsAreKeptWhenTheyAreDue) {
  const auto kept = [&](std::int64_t interval) {
    run(interval).go(kAll);
    std::string states;
    for (std::int64_t s = 0; s <= 4; ++s)
      states += SegmentReader(layout.segment(s)).has("/state/unit.0") ? '1' : '0';
    fs::remove_all(path);
    return states;
  };
  EXPECT_EQ(kept(0), "10001");
  EXPECT_EQ(kept(1), "11111");
  EXPECT_EQ(kept(3), "10011");
}

TEST_F(RecorderTest, StoppedAtAnyStepAndResumedItIsTheSameRun) {
  for (const std::int64_t interval : {0, 1, 2}) {
    const auto expected = whole(interval);
    for (std::int64_t stop = 0; stop <= 7; ++stop) {
      run(interval).go(stop);
      resumed(interval).go(kAll);
      EXPECT_EQ(differences(contents(path), expected), "")
          << "interval " << interval << ", stopped before " << stop;
      fs::remove_all(path);
    }
  }
}

// Every state that a kill can leave: the log cut after any line or inside it, segments up to the one that its
// leaves need or one more, and a half-written file aside.
TEST_F(RecorderTest, KilledBetweenAnyTwoWritesAndResumedItIsTheSameRun) {
  const auto expected = whole();
  const std::string log = expected.at("log.jsonl");
  const record::Grid grid = toy::manifest().grid;
  std::size_t cut = 0;
  for (std::int64_t lines = 0; lines <= grid.log_size(); ++lines) {
    // Leaves of segment i are those up to state i; it was written before the first of them.
    std::int64_t needed = 0;
    while (needed < grid.step_blocks() && grid.state_leaf(needed) < lines - 1) ++needed;
    if (lines == 0) needed = -1;
    for (const int more : {0, 1})
      for (const bool torn : {false, true}) {
        if (lines == grid.log_size() && (torn || more > 0)) continue;
        fs::create_directories(path);
        for (std::int64_t i = 0; i <= std::min(needed + more, grid.step_blocks()); ++i)
          overwrite(layout.segment(i), expected.at(layout.segment(i).filename()));
        overwrite(layout.log(), log.substr(0, cut + (torn ? 5 : 0)));
        overwrite(path / "segment-000002.h5.tmp.99", "half");
        resumed().go(kAll);
        EXPECT_EQ(differences(contents(path), expected), "")
            << lines << (torn ? " and a torn line" : "") << ", segments +" << more;
        fs::remove_all(path);
      }
    if (lines < grid.log_size()) cut = log.find('\n', cut) + 1;
  }
}

TEST_F(RecorderTest, AFinishedRunResumedChangesNothing) {
  run().go(kAll);
  const auto before = contents(path);
  resumed().go(kAll);
  EXPECT_EQ(differences(contents(path), before), "");
}

TEST_F(RecorderTest, LostOrDamagedSegmentsAreMadeAgain) {
  const auto expected = whole();
  for (std::int64_t lost = 0; lost <= 4; ++lost) {
    run().go(5);
    if (fs::exists(layout.segment(lost))) overwrite(layout.segment(lost), "damaged");
    for (std::int64_t s = lost; s <= 4; ++s) fs::remove(layout.segment(s + 1));
    resumed().go(kAll);
    EXPECT_EQ(differences(contents(path), expected), "") << lost;
    fs::remove_all(path);
  }
}

TEST_F(RecorderTest, ASnapshotIsUsedWhateverTheIntervalIsNow) {
  const auto expected = whole(3);
  run(3).go(7);  // snapshots of states 0, 3 and 4
  fs::remove(layout.segment(4));
  toy::Run again = resumed(2);
  std::int64_t first = -1;
  again.before_step = [&](std::int64_t t) {
    if (first < 0) first = t;
  };
  again.go(kAll);
  EXPECT_EQ(first, 6);  // state 3, though 3 is not due any more
  EXPECT_EQ(text_of(layout.log()), expected.at("log.jsonl"));
}

TEST_F(RecorderTest, AnotherRecipeIsRefusedAndNothingIsTouched) {
  run().go(5);
  overwrite(layout.log(), text_of(layout.log()) + "torn");
  overwrite(path / "segment-000009.h5.tmp.7", "left");
  const auto before = contents(path);
  toy::Run other = resumed();
  other.manifest.recipe.lr = 0.25;
  other.manifest.software = "aftune 0.2.0";
  const std::string message = message_of([&] { other.go(kAll); }, Fault::kUsage);
  EXPECT_NE(message.find("recipe.lr, software"), std::string::npos) << message;
  EXPECT_EQ(differences(contents(path), before), "");
}

TEST_F(RecorderTest, AReplayThatDiffersIsRefusedAndNothingIsTouched) {
  run().go(4);  // states 0, 1 and 2, a snapshot of 2
  fs::remove(layout.segment(2));
  const auto before = contents(path);
  toy::Run other = resumed();
  other.salt = 0.25;
  const std::string message = message_of([&] { other.go(kAll); }, Fault::kUsage);
  EXPECT_NE(message.find("log.jsonl: line 3: "), std::string::npos) << message;
  EXPECT_NE(message.find("activations, gradients"), std::string::npos) << message;
  EXPECT_EQ(differences(contents(path), before), "");
}

TEST_F(RecorderTest, ASnapshotOfAnotherStateIsNotResumedFrom) {
  run(1).go(6);
  const std::string third = text_of(layout.segment(3));
  trace::SegmentWriter forged(layout.segment(3));
  const SegmentReader honest(layout.segment(3));
  for (const SegmentReader::Entry& e : honest.entries()) {
    Bytes bytes = honest.read(e.path, e.dtype, e.shape);
    if (e.path == "/state/unit.2.exp_avg") bytes[0] ^= std::byte{1};
    forged.add(e.path, e.dtype, e.shape, bytes, trace::Packing::kRaw);
  }
  forged.commit();
  const std::string message = message_of([&] { resumed(1).go(kAll); }, Fault::kEvidence);
  EXPECT_NE(message.find("segment-000003.h5: its state is not the one in the log"), std::string::npos)
      << message;
}

// The text of a note with a line of the form that a signature has; without the key no one can tell more.
std::string note_text(const seal::Checkpoint& checkpoint, const std::string& signer, std::size_t blob = 68) {
  return cat(checkpoint.to_text(), "\n\xe2\x80\x94 ", signer, ' ', to_base64(Bytes(blob)), '\n');
}

TEST_F(RecorderTest, ALogThatDoesNotExtendItsCheckpointIsRefused) {
  run().go(5);
  const auto tree = Log::read(layout.log()).tree();
  const auto seal = [&](std::uint64_t size, const Digest& root) {
    overwrite(layout.checkpoint(), note_text({"x/" + std::string(32, '0'), size, root}, "x"));
  };
  seal(4, tree.root(4));
  resumed().go(5);
  seal(4, tree.root(3));
  message_of([&] { resumed().go(kAll); }, Fault::kUsage);
  seal(100, tree.root(4));
  message_of([&] { resumed().go(kAll); }, Fault::kUsage);
}

TEST_F(RecorderTest, ACheckpointOfAnotherRunOrOfNoSignerIsRefused) {
  run().go(5);
  const Digest root = Log::read(layout.log()).tree().root(4);
  const std::string run = std::string(32, '0');
  const auto refusal = [&](const std::string& note) {
    overwrite(layout.checkpoint(), note);
    const std::string message = message_of([&] { resumed().go(kAll); }, Fault::kUsage);
    return message.substr(message.find("checkpoint: ") + 12);
  };
  const std::string other = "x/" + std::string(32, '1');
  EXPECT_EQ(refusal(note_text({other, 4, root}, "x")), cat("seals ", other, ", and the log is of run ", run));
  EXPECT_EQ(refusal(note_text({run, 4, root}, "x")), cat("seals ", run, ", and the log is of run ", run));
  const std::string unsigned_by_x = "has no signature by x, whose log it says it is";
  EXPECT_EQ(refusal(note_text({"x/" + run, 4, root}, "y")), unsigned_by_x);
  EXPECT_EQ(refusal(note_text({"x/" + run, 4, root}, "x", 67)), unsigned_by_x);
  EXPECT_EQ(refusal(note_text({"x/" + run, 4, root}, "x", 76)), unsigned_by_x);  // as a cosignature is
  overwrite(layout.checkpoint(), note_text({"x/" + run, 4, root}, "x"));
  resumed().go(5);
}

TEST_F(RecorderTest, AnExistingTraceNeedsResumeAndOneWriter) {
  run().go(3);
  EXPECT_NE(message_of([&] { run().go(kAll); }, Fault::kUsage).find("--resume"), std::string::npos);
  const FileLock other(layout.lock());
  EXPECT_NE(message_of([&] { resumed().go(kAll); }, Fault::kUsage).find("in use"), std::string::npos);
}

TEST_F(RecorderTest, ALogLongerThanTheRunIsRefused) {
  run().go(kAll);
  overwrite(layout.log(), text_of(layout.log()) + "{}\n");
  message_of([&] { resumed().go(kAll); }, Fault::kUsage);
}

TEST_F(RecorderTest, LeavesThatWouldNotFitAreRefusedAtTheStart) {
  toy::Run r = run();
  r.manifest.grid.layers = 600;
  r.manifest.grid.layers_per_block = 1;
  const std::string message = message_of([&] { r.go(kAll); }, Fault::kUsage);
  EXPECT_NE(message.find("more layers per block"), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(RecorderTest, AFullDiskStopsTheRunAndResumeGoesOn) {
  const auto expected = whole();
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  toy::Run r = run();
  r.before_step = [&](std::int64_t t) {
    if (t != 3) return;
    // The background thread may still be writing what is complete.
    for (int wait = 0;
         wait < 1000 && (!fs::exists(layout.log()) || Log::read(layout.log()).leaves.size() < 5); ++wait)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const rlimit small{100, old.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
  };
  const std::string message = message_of([&] { r.go(kAll); }, Fault::kSystem);
  ::setrlimit(RLIMIT_FSIZE, &old);
  EXPECT_NE(message.find("File too large"), std::string::npos) << message;
  const Log log = Log::read(layout.log());
  EXPECT_EQ(log.leaves.size(), 5u);  // manifest, state 0, two steps, state 1
  EXPECT_FALSE(log.torn);
  resumed().go(kAll);
  EXPECT_EQ(differences(contents(path), expected), "");
}

TEST_F(RecorderTest, TheManifestOfATraceIsFound) {
  EXPECT_FALSE(recorded_manifest(path).has_value());
  run().go(0);
  EXPECT_EQ(recorded_manifest(path)->run, std::string(32, '0'));
}

}  // namespace
}  // namespace aftune::train
