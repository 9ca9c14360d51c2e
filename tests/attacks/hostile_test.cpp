// Rows 35-40 as far as a trace at hand goes, and every bit of it: whatever the bytes, a verdict that names
// the object, in bounded time.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>

#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "base/error.h"
#include "trace/layout.h"

namespace aftune::attacks {
namespace {

using audit::Code;

audit::Verdict verify(const RecordedRun& run) {
  return audit::verify(run.options());
}

// A line that cannot even be split from the others ("log.jsonl", "line 3: holds a NUL") is named in the
// detail.
bool names(const audit::Reason& reason, const std::string& object) {
  if (reason.where.find(object) != std::string::npos) return true;
  return object.starts_with("log line") && reason.detail.find(object.substr(4) + ":") != std::string::npos;
}

// Flips `count` random bits of the bytes [from, to) of a file, one at a time, and expects each to be found.
void flip_and_verify(const RecordedRun& run, const fs::path& file, std::uint64_t from, std::uint64_t to,
                     int count, const std::string& where) {
  static std::mt19937_64 random(std::random_device{}());
  for (int i = 0; i < count; ++i) {
    const std::uint64_t bit = std::uniform_int_distribution<std::uint64_t>(8 * from, 8 * to - 1)(random);
    flip_bit(file, bit);
    const audit::Verdict verdict = verify(run);
    EXPECT_EQ(verdict.outcome, audit::Outcome::kReject) << file << " bit " << bit << '\n'
                                                        << describe(verdict);
    ASSERT_FALSE(verdict.reasons.empty()) << file << " bit " << bit;
    const bool named = names(verdict.reasons[0], where);
    EXPECT_TRUE(named) << file << " bit " << bit << '\n' << describe(verdict);
    cheat(named && verdict.outcome == audit::Outcome::kReject);
    flip_bit(file, bit);
  }
}

class EveryBit : public testing::TestWithParam<bool> {
 protected:
  EveryBit() : run(fresh_copy({.store_boundaries = GetParam(), .snapshot_interval = 2})) {}
  ~EveryBit() override { EXPECT_EQ(verify(run).outcome, audit::Outcome::kAccept); }
  RecordedRun run;
  trace::Layout layout() const { return {run.trace()}; }
};

TEST_P(EveryBit, OfEverySegment) {
  rows({36});
  for (int i = 0; i <= 3; ++i) {
    const fs::path file = layout().segment(i);
    flip_and_verify(run, file, 0, fs::file_size(file), 12, file.filename().native());
    flip_and_verify(run, file, 0, 512, 4, file.filename().native());
  }
}

// Of a segment a sampled cell reads what it needs: damage there is found, damage elsewhere costs nothing.
TEST(Hostile, ASampledCellIsRejectedForDamageToWhatItReadsAlone) {
  rows({36});
  const RecordedRun run = fresh_copy({.store_boundaries = true, .snapshot_interval = 1});
  audit::VerifyOptions options = run.options();
  options.plan = {.uniform = 1};
  options.seed = {7};
  const auto cell = audit::verify(options).sampled.at(0).cell;
  const fs::path before = trace::Layout{run.trace()}.segment(cell.step_block);
  std::mt19937_64 random(1);
  int rejected = 0, accepted = 0;
  for (int i = 0; i < 60; ++i) {
    const std::uint64_t bit = random() % (8 * fs::file_size(before));
    flip_bit(before, bit);
    const audit::Verdict verdict = audit::verify(options);
    flip_bit(before, bit);
    ASSERT_EQ(verdict.sampled.at(0).cell, cell);
    const bool is_rejected = verdict.outcome == audit::Outcome::kReject;
    ASSERT_EQ(is_rejected, !verdict.reasons.empty()) << describe(verdict);
    if (is_rejected) {
      const bool named = names(verdict.reasons[0], before.filename().native());
      EXPECT_TRUE(named) << describe(verdict);
      cheat(named);
    }
    ++(is_rejected ? rejected : accepted);
  }
  EXPECT_GT(rejected, 5);
  EXPECT_GT(accepted, 5);
}

TEST_P(EveryBit, OfEveryLogLine) {
  rows({1});
  const std::string text = read_file(layout().log(), 1 << 24);
  std::uint64_t from = 0;
  for (int line = 1; from < text.size(); ++line) {
    const std::uint64_t to = text.find('\n', from) + 1;
    flip_and_verify(run, layout().log(), from, to - 1, 4, cat("log line ", line));
    flip_and_verify(run, layout().log(), to - 1, to, 1, "log");  // the line feed
    from = to;
  }
}

TEST_P(EveryBit, OfTheCheckpoint) {
  rows({1, 12});
  const std::uint64_t size = fs::file_size(layout().checkpoint());
  flip_and_verify(run, layout().checkpoint(), 0, size, 60, "checkpoint");
}

// Without leaf-hashes, or with other ones, the line is found by what it says, or the file is named.
TEST_P(EveryBit, OfTheLogWithoutItsHashes) {
  rows({1});
  const std::string hashes = read_file(layout().leaf_hashes(), 1 << 20);
  flip_bit(layout().leaf_hashes(), 77);
  EXPECT_EQ(verify(run).outcome, audit::Outcome::kAccept);
  flip_and_verify(run, layout().log(), 0, fs::file_size(layout().log()), 20, "log");
  fs::remove(layout().leaf_hashes());
  flip_and_verify(run, layout().log(), 0, fs::file_size(layout().log()), 20, "log");
  write_file(layout().leaf_hashes(), hashes);
}

INSTANTIATE_TEST_SUITE_P(Boundaries, EveryBit, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Stored" : "MadeAgain"; });

TEST(Hostile, FilesThatAreNotFiles) {
  rows({39});
  const auto with = [](const std::function<fs::path(const trace::Layout&)>& which,
                       const std::function<void(const fs::path&)>& replace) {
    const RecordedRun run = fresh_copy({});
    const fs::path path = which(trace::Layout{run.trace()});
    const fs::path moved = run.root / "moved";
    fs::rename(path, moved);
    replace(path);
    const audit::Verdict verdict = verify(run);
    EXPECT_NE(verdict.outcome, audit::Outcome::kAccept);
    EXPECT_FALSE(verdict.reasons.empty());
    return verdict;
  };
  const std::function<fs::path(const trace::Layout&)> files[] = {
      [](const trace::Layout& l) { return l.log(); }, [](const trace::Layout& l) { return l.checkpoint(); },
      [](const trace::Layout& l) { return l.segment(1); }};
  for (const auto& file : files) {
    expect_only(with(file, [](const fs::path&) {}), Code::kAbsent);
    expect_only(with(file, [](const fs::path& p) { fs::create_symlink("../moved", p); }), Code::kFormat);
    expect_only(with(file, [](const fs::path& p) { fs::create_symlink("nowhere", p); }), Code::kFormat);
    expect_only(with(file, [](const fs::path& p) { fs::create_directory(p); }), Code::kFormat);
    expect_only(with(file, [](const fs::path& p) { ASSERT_EQ(::mkfifo(p.c_str(), 0600), 0); }),
                Code::kFormat);
    expect_only(with(file, [](const fs::path& p) { write_file(p, ""); }),
                &file == &files[0] ? Code::kLogRoot : Code::kFormat);
    expect_only(with(file, [](const fs::path& p) { write_file(p, std::string(70000, 'x')); }), Code::kFormat);
  }
}

TEST(Hostile, FilesThatAreCutOrGrown) {
  rows({36});
  for (int i = 0; i <= 3; ++i)
    for (const int change : {-1, 1, -1000}) {
      const RecordedRun run = fresh_copy({});
      const fs::path file = trace::Layout{run.trace()}.segment(i);
      const auto size = static_cast<std::int64_t>(fs::file_size(file));
      fs::resize_file(file, static_cast<std::uintmax_t>(size + change));
      expect_only(verify(run), Code::kFormat, file.filename().native());
    }
}

TEST(Hostile, SegmentsThatTheManifestDoesNotGive) {
  rows({24, 36});
  for (const char* name : {"segment-000004.h5", "segment-1.h5", "segment-0000001.h5", "segment-.h5",
                           "segment-x.h5", "segment-999999999999999999999.h5"}) {
    const RecordedRun run = fresh_copy({});
    fs::copy_file(trace::Layout{run.trace()}.segment(1), run.trace() / name);
    expect_only(verify(run), Code::kClosing, name);
  }
  Forgery forgery(fresh_copy({}));
  forgery.add_dataset(1, "/state/model.layers.9.extra");
  expect_only(verify(forgery.run()), Code::kFormat, "segment-000001.h5 /state/model.layers.9.extra");
}

TEST(Hostile, ATornLastLine) {
  rows({7});
  const RecordedRun run = fresh_copy({});
  const fs::path log = trace::Layout{run.trace()}.log();
  std::string text = read_file(log, 1 << 24);
  text.pop_back();
  write_file(log, text);
  expect_only(verify(run), Code::kFormat, "log line 12");
}

// Sizes that only the manifest claims cost nothing.
TEST(Hostile, SizesThatOnlyTheManifestClaims) {
  rows({36});
  const auto claimed = [](const std::function<void(record::Manifest&)>& edit) {
    Forgery forgery(fresh_copy({}));
    forgery.edit_manifest(edit);
    const RecordedRun run = forgery.seal();
    const audit::Verdict verdict = verify(run);
    EXPECT_NE(verdict.outcome, audit::Outcome::kAccept);
    return verdict;
  };
  const auto config = [](const std::string& from, const std::string& to) {
    return [=](record::Manifest& m) { m.config.replace(m.config.find(from), from.size(), to); };
  };
  expect_only(claimed([](auto& m) { m.recipe.steps = (std::int64_t{1} << 40) - 1; }), Code::kClosing);
  expect_only(claimed([](auto& m) { m.grid.layers = 1 << 20; }), Code::kClosing);
  expect_only(claimed(config("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1000")), Code::kClosing);
  EXPECT_EQ(claimed(config("\"vocab_size\": 257", "\"vocab_size\": 16000000")).reasons.size(), 1u);
  const auto huge = claimed([&](record::Manifest& m) {
    config("\"vocab_size\": 257", "\"vocab_size\": 16000000")(m);
    config("\"hidden_size\": 16", "\"hidden_size\": 131072, \"head_dim\": 8")(m);
    const std::vector<TensorSpec> specs = model::all_tensors(model::Config::parse(m.config));
    m.base.root = record::tensor_root(specs, m.base.digests);
  });
  EXPECT_FALSE(huge.reasons.empty());
}

TEST(Hostile, MoreMemoryThanTheAuditorAllows) {
  rows({36});
  for (const bool boundaries : {true, false}) {
    audit::VerifyOptions options = fresh_copy({.store_boundaries = boundaries}).options();
    options.max_memory = 1000;
    expect_only(audit::verify(options), Code::kTooLarge, boundaries ? "block" : "the whole model");
  }
}

TEST(Hostile, AManifestProofThatProvesNothing) {
  rows({4});
  const RecordedRun run = fresh_copy({});
  const trace::Layout layout{run.trace()};
  const std::string proof = read_file(layout.manifest_proof(), 1 << 20);
  write_file(layout.manifest_proof(), "nothing");
  expect_only(verify(run), Code::kFormat, "manifest.tlog-proof");
  std::string other = proof;
  other.replace(other.find("index 0"), 7, "index 1");
  write_file(layout.manifest_proof(), other);
  expect_only(verify(run), Code::kEvidence, "manifest.tlog-proof");
}

}  // namespace
}  // namespace aftune::attacks
