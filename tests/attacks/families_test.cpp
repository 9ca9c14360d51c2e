// Families beside Llama: what they add to the decoder is recorded, replayed and checked like all else.
#include <gtest/gtest.h>

#include <cmath>

#include "attacks/answer.h"
#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "base/error.h"
#include "model/folder.h"
#include "trace/layout.h"

namespace aftune::attacks {
namespace {

using audit::Code;

class Families : public testing::TestWithParam<const char*> {
 protected:
  /// A tensor of the second layer, one that Llama has not if there is any.
  static std::string own_tensor() {
    const std::string family = GetParam();
    if (family == "gpt2") return "transformer.h.1.attn.c_attn.bias";
    return cat("model.layers.1.self_attn.", family == "qwen2"   ? "k_proj.bias"
                                            : family == "qwen3" ? "q_norm.weight"
                                                                : "k_proj.weight");
  }
  static RunShape shape(bool boundaries) { return {.family = GetParam(), .store_boundaries = boundaries}; }
};

TEST_P(Families, EveryCellOfAnHonestRunIsAccepted) {
  for (const bool tied : {true, false})
    for (const bool boundaries : {true, false}) {
      RunShape run = shape(boundaries);
      run.tied = tied;
      run.numerics = tied ? "i14" : "f32";
      run.layers_per_block = tied ? 1 : 2;
      const auto verdict = audit::verify(fresh_copy(run).options());
      EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
      EXPECT_EQ(verdict.checked, verdict.cells);
    }
}

TEST_P(Families, EvidenceOfEveryCellIsAccepted) {
  const RecordedRun run = fresh_copy(shape(false));
  const audit::Challenge challenge = challenge_of(run, {.all = true});
  const auto verdict = audit::verify(options_for(open_evidence(run, challenge), challenge));
  EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
  EXPECT_EQ(verdict.checked, verdict.cells);
}

TEST_P(Families, AnAlteredElementOfItsOwnTensorIsFound) {
  rows({25});
  for (const bool boundaries : {true, false}) {
    Forgery forgery(fresh_copy(shape(boundaries)));
    forgery.edit_floats(1, trace::state_dataset(own_tensor()),
                        [](std::span<float> v) { v[3] = std::nextafter(v[3], 10.0f); });
    forgery.rehash_state(1);
    const audit::Verdict verdict = audit::verify(forgery.seal().options());
    expect_among(verdict, Code::kUpdate, "cell 2,0 state 1");
    const audit::Reason* reason = find_reason(verdict, Code::kUpdate);
    ASSERT_NE(reason, nullptr);
    EXPECT_NE(reason->detail.find(own_tensor() + " element ["), std::string::npos) << reason->detail;
  }
}

TEST_P(Families, AnAlteredElementOfTheExportIsFound) {
  rows({25});
  const RecordedRun run = fresh_copy(shape(true));
  const fs::path weights = run.out() / "model.safetensors";
  flip_bit(weights, 8 * fs::file_size(weights) - 30);
  expect_only(audit::verify(run.options()), Code::kExport, "export");
}

// Snapshots, threads and the size of micro-batches leave no mark.
TEST_P(Families, AnotherWayToTheSameLog) {
  rows({33});
  RunShape other = shape(true);
  other.snapshot_interval = 0;
  const auto log = [](const RecordedRun& run) {
    return read_file(trace::Layout{run.trace()}.log(), std::uint64_t{1} << 24);
  };
  EXPECT_EQ(log(fresh_copy(shape(false))), log(fresh_copy(other)));
}

// A model that was published without the prefix of its names is that of the record, and no other is.
TEST(Gpt2, TheClientsFileMayLeaveThePrefixOut) {
  rows({13});
  const RecordedRun run = fresh_copy({.family = "gpt2", .init = false});
  const fs::path weights = run.model() / "model.safetensors";
  constexpr std::string_view kPrefix = "transformer.";
  {
    const model::Checkpoint saved = model::Checkpoint::open(run.model());
    std::vector<TensorSpec> published;
    for (const auto& [name, entry] : saved.entries()) {
      published.push_back(entry.spec);
      published.back().name.erase(0, kPrefix.size());
    }
    model::write_safetensors(run.root / "published", published, [&](const TensorSpec& spec) {
      return saved.find(cat(kPrefix, spec.name))->bytes;
    });
  }
  fs::rename(run.root / "published", weights);
  const auto verdict = audit::verify(run.options());
  EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
  EXPECT_EQ(verdict.checked, verdict.cells);
  flip_bit(weights, 8 * fs::file_size(weights) - 30);
  expect_only(audit::verify(run.options()), Code::kStateBefore, "base");
}

INSTANTIATE_TEST_SUITE_P(Beside, Families, testing::Values("mistral", "qwen2", "qwen3", "gpt2"));

}  // namespace
}  // namespace aftune::attacks
