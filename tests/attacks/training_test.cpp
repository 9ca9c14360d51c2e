// Rows 13-25: what was trained, on what, and from what.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "optim/optimizer.h"
#include "trace/layout.h"

namespace aftune::attacks {
namespace {

using audit::Code;

audit::Verdict verify(const RecordedRun& run) {
  return audit::verify(run.options());
}

constexpr char kWeight[] = "model.layers.1.mlp.up_proj.weight";

void nudge(std::span<float> values) {
  values[5] = std::nextafter(values[5], 10.0f);
}

// Each cheat must be caught whether boundaries are stored (one block is replayed by itself) or not (the whole
// step block is).
class Training : public testing::TestWithParam<bool> {
 protected:
  RunShape shape() const { return {.store_boundaries = GetParam()}; }
};

// Equal in value and another bit: -0 is not +0.
TEST_P(Training, AZeroOfTheOtherSign) {
  rows({34});
  Forgery forgery(fresh_copy({.store_boundaries = GetParam()}));
  forgery.edit_floats(0, "/state/model.norm.weight.exp_avg", [](std::span<float> m) {
    ASSERT_EQ(m[3], 0.0f);
    m[3] = -0.0f;
  });
  forgery.rehash_state(0);
  expect_among(audit::verify(forgery.seal().options()), Code::kStateBefore, "block 0");
}

void expect_names_the_weight(const audit::Verdict& verdict) {
  const audit::Reason* update = find_reason(verdict, Code::kUpdate);
  ASSERT_NE(update, nullptr);
  EXPECT_NE(update->detail.find("model.layers.1.mlp.up_proj.weight element [0,5]: replayed"),
            std::string::npos)
      << update->detail;
}

TEST_P(Training, OneWeightOfOneSnapshotByOneUnitInTheLastPlace) {
  rows({25});
  for (const char* numerics : {"f32", "i14"}) {
    RunShape altered = shape();
    altered.numerics = numerics;
    Forgery forgery(fresh_copy(altered));
    forgery.edit_floats(1, trace::state_dataset(kWeight), nudge);
    forgery.rehash_state(1);
    const audit::Verdict verdict = verify(forgery.seal());
    // The cell before ends in another state. The cell after starts from one that gives other activations
    // under f32 (at its first step or at the next: so small a change may be rounded away once), and the same
    // where products see 14 bits of it; its own end is then another.
    expect_among(verdict, Code::kUpdate, "cell 2,0 state 1");
    if (altered.numerics == "f32")
      expect_among(verdict, Code::kForward, "cell 2,1 step");
    else
      expect_among(verdict, Code::kUpdate, "cell 2,1 state 2");
    expect_names_the_weight(verdict);
  }
}

TEST_P(Training, EverySingleTensorOfAState) {
  rows({16});
  const Forgery honest(fresh_copy(shape()));
  const RecordedRun run = honest.run();
  const trace::SegmentReader reader(trace::Layout{run.trace()}.segment(2));
  for (const auto& entry : reader.entries()) {
    if (!entry.path.starts_with("/state/")) continue;
    Forgery forgery(fresh_copy(shape()));
    forgery.edit_floats(2, entry.path, [](std::span<float> v) { v[v.size() / 2] += 0.25f; });
    forgery.rehash_state(2);
    expect_among(verify(forgery.seal()), Code::kUpdate, "state 2");
  }
}

TEST_P(Training, AnAlteredSnapshotThatTheLeafDoesNotKnow) {
  rows({20});
  for (const std::int64_t s : {0, 1, 3}) {
    Forgery forgery(fresh_copy(shape()));
    forgery.edit_floats(s, trace::state_dataset(kWeight), nudge);
    expect_only(verify(forgery.run()), Code::kEvidence, cat("segment-00000", s, ".h5"));
  }
}

TEST_P(Training, StepsSkippedAndTheStateCopied) {
  rows({16});
  Forgery forgery(fresh_copy(shape()));
  const trace::Layout layout{forgery.run().trace()};
  const trace::SegmentReader from(layout.segment(1));
  for (const auto& entry : from.entries()) {
    if (!entry.path.starts_with("/state/")) continue;
    const Bytes bytes = from.read(entry.path, entry.dtype, entry.shape);
    forgery.edit_floats(2, entry.path,
                        [&](std::span<float> v) { std::memcpy(v.data(), bytes.data(), bytes.size()); });
  }
  forgery.rehash_state(2);
  expect_among(verify(forgery.seal()), Code::kUpdate, "state 2");
}

TEST_P(Training, OneBlockFrozen) {
  rows({16});
  Forgery forgery(fresh_copy(shape()));
  forgery.edit_state(2, [&](record::State& state) {
    state.blocks[1] =
        record::parse_state(forgery.leaves()[static_cast<std::size_t>(forgery.grid().state_leaf(1))],
                            forgery.grid())
            .blocks[1];
  });
  forgery.drop_datasets(2, "/state/");
  expect_among(verify(forgery.seal()), Code::kUpdate, "cell 1,1 state 2");
}

TEST_P(Training, MomentsForgedOrReset) {
  rows({19});
  for (const bool reset : {true, false}) {
    Forgery forgery(fresh_copy(shape()));
    forgery.edit_floats(1, trace::state_dataset(std::string(kWeight) + ".exp_avg_sq"),
                        [&](std::span<float> v) {
                          for (float& x : v) x = reset ? 0.0f : x * 2;
                        });
    forgery.rehash_state(1);
    expect_among(verify(forgery.seal()), Code::kUpdate, "cell 2,0 state 1");
  }
}

TEST_P(Training, ASnapshotOfAnotherHonestRun) {
  rows({20});
  RunShape other = shape();
  other.data_rows = 8;
  const RecordedRun donor = fresh_copy(other);
  const trace::SegmentReader from(trace::Layout{donor.trace()}.segment(2));
  Forgery forgery(fresh_copy(shape()));
  for (const auto& entry : from.entries()) {
    if (!entry.path.starts_with("/state/")) continue;
    const Bytes bytes = from.read(entry.path, entry.dtype, entry.shape);
    forgery.edit_floats(2, entry.path,
                        [&](std::span<float> v) { std::memcpy(v.data(), bytes.data(), bytes.size()); });
  }
  forgery.rehash_state(2);
  expect_among(verify(forgery.seal()), Code::kUpdate, "state 2");
}

TEST_P(Training, ForgedActivations) {
  rows({17});
  for (const int boundary : {0, 1, 2}) {
    Forgery forgery(fresh_copy(shape()));
    Digest digest{};
    if (GetParam()) {
      const std::string dataset = trace::activation_dataset(3, boundary);
      forgery.edit_floats(2, dataset, [&](std::span<float> v) {
        v[7] += 1;
        digest = hash::blake3(std::as_bytes(v));
      });
    }
    forgery.edit_step(
        3, [&](record::Step& step) { step.activations[static_cast<std::size_t>(boundary)] = digest; });
    const audit::Verdict verdict = verify(forgery.seal());
    expect_among(verdict, Code::kForward, cat("cell ", boundary, ",1 step 3 activation ", boundary));
    if (GetParam()) {
      EXPECT_NE(find_reason(verdict, Code::kForward)->detail.find("element [0,7]"), std::string::npos);
    }
  }
}

TEST_P(Training, ForgedGradients) {
  rows({17});
  for (const int boundary : {0, 1, 2}) {
    Forgery forgery(fresh_copy(shape()));
    Digest digest{};
    if (GetParam()) {
      const std::string dataset = trace::gradient_dataset(3, boundary);
      forgery.edit_floats(2, dataset, [&](std::span<float> v) {
        for (float& x : v) x = -x;
        digest = hash::blake3(std::as_bytes(v));
      });
    }
    forgery.edit_step(
        3, [&](record::Step& step) { step.gradients[static_cast<std::size_t>(boundary)] = digest; });
    // Boundary 2 lies below the last stage, which belongs to the tied block 0.
    const int above = boundary == 2 ? 0 : boundary + 1;
    expect_among(verify(forgery.seal()), Code::kBackward,
                 cat("cell ", above, ",1 step 3 gradient ", boundary));
  }
}

TEST_P(Training, AStoredBoundaryThatTheLeafDoesNotKnow) {
  rows({17});
  if (!GetParam()) return;  // none is stored
  Forgery forgery(fresh_copy(shape()));
  forgery.edit_floats(1, trace::activation_dataset(1, 1), nudge);
  expect_only(verify(forgery.run()), Code::kEvidence, "segment-000001.h5 /steps/1/activations/1");
}

TEST_P(Training, ForgedLoss) {
  rows({18});
  Forgery forgery(fresh_copy(shape()));
  forgery.edit_step(4, [](record::Step& step) { step.loss = std::nextafter(step.loss, 0.0f); });
  expect_only(verify(forgery.seal()), Code::kLoss, "cell 0,2 step 4");
}

TEST_P(Training, ForgedNormPartOfAnotherBlock) {
  rows({21});
  Forgery forgery(fresh_copy(shape()));
  const record::Recipe recipe = record::parse_manifest(forgery.leaves()[0]).recipe;
  forgery.edit_step(2, [&](record::Step& step) {
    step.sums[1] *= 4;
    step.norm = optim::global_norm(step.sums);
    step.clip = optim::clip_scale(recipe, step.norm);
  });
  expect_among(verify(forgery.seal()), Code::kNorm, "cell 1,1 step 2 unit 1");
}

TEST_P(Training, NormAndClipThatTheSumsDoNotGive) {
  rows({21});
  Forgery clip(fresh_copy(shape()));
  clip.edit_step(2, [](record::Step& step) { step.clip = std::nextafter(step.clip, 0.0f); });
  expect_among(verify(clip.seal()), Code::kNorm, "log line");
  Forgery norm(fresh_copy(shape()));
  norm.edit_step(2, [](record::Step& step) { step.norm = std::nextafter(step.norm, 0.0); });
  expect_only(verify(norm.seal()), Code::kNorm, "log line");
  Forgery negative(fresh_copy(shape()));
  negative.edit_step(2, [](record::Step& step) { step.sums[0] = -step.sums[0]; });
  expect_among(verify(negative.seal()), Code::kNorm, "log line");
}

TEST_P(Training, ValuesThatAreNotFinite) {
  rows({18});
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto with = [&](const std::function<void(record::Step&)>& edit) {
    Forgery forgery(fresh_copy(shape()));
    forgery.edit_step(1, edit);
    return verify(forgery.seal());
  };
  expect_among(with([](auto& step) { step.loss = kNan; }), Code::kNonFinite, "log line 4");
  expect_among(with([](auto& step) { step.norm = kInf; }), Code::kNonFinite, "log line 4");
  expect_among(with([](auto& step) { step.lr = kInf; }), Code::kNonFinite, "log line 4");
  expect_among(with([](auto& step) { step.sums[0] = kInf; }), Code::kNonFinite, "log line 4");
  expect_among(with([](auto& step) { step.clip = -kNan; }), Code::kNonFinite, "log line 4");
  Forgery weights(fresh_copy(shape()));
  weights.edit_floats(1, trace::state_dataset(kWeight), [](std::span<float> v) { v[0] = kNan; });
  weights.rehash_state(1);
  const audit::Verdict verdict = verify(weights.seal());
  expect_among(verdict, Code::kUpdate, "cell 2,0 state 1");
  expect_among(verdict, Code::kNonFinite);
}

TEST_P(Training, AnotherRecipeThanTheRecorded) {
  rows({14, 16});
  const auto with = [&](const std::function<void(record::Recipe&)>& edit) {
    Forgery forgery(fresh_copy(shape()));
    forgery.edit_manifest([&](record::Manifest& m) { edit(m.recipe); });
    return verify(forgery.seal());
  };
  expect_among(with([](auto& r) { r.lr *= 2; }), Code::kSchedule, "log line");
  expect_among(with([](auto& r) { r.schedule = "linear"; }), Code::kSchedule, "log line");
  expect_among(with([](auto& r) { r.warmup_steps = 2; }), Code::kSchedule, "log line");
  expect_among(with([](auto& r) { r.clip_norm = 0.25; }), Code::kNorm, "log line");
  expect_among(with([](auto& r) { r.beta1 = 0.8; }), Code::kUpdate, "state 1");
  expect_among(with([](auto& r) { r.beta2 = 0.99; }), Code::kUpdate, "state 1");
  expect_among(with([](auto& r) { r.eps = 1e-6; }), Code::kUpdate, "state 1");
  expect_among(with([](auto& r) { r.weight_decay = 0; }), Code::kUpdate, "state 1");
  expect_among(with([](auto& r) { r.decay_all = true; }), Code::kUpdate, "state 1");
  expect_among(with([](auto& r) { r.batch_size = 3; }), Code::kOrder, "log line");
  expect_among(with([](auto& r) { r.seed = 6; }), Code::kData, "log line");
  expect_among(with([](auto& r) { r.seed = 6; }), Code::kStateBefore, "block");
  EXPECT_EQ(with([](auto& r) { r.optimizer = "sgd"; }).outcome, audit::Outcome::kReject);
  EXPECT_EQ(with([](auto& r) { r.eos = false; }).outcome, audit::Outcome::kReject);
  EXPECT_EQ(with([](auto& r) { r.seq_len = 8; }).outcome, audit::Outcome::kReject);
  EXPECT_EQ(with([](auto& r) { r.packing = true; }).outcome, audit::Outcome::kReject);
}

TEST_P(Training, AnotherLearningRateThanTheRecorded) {
  rows({14});
  Forgery forgery(fresh_copy(shape()));
  forgery.edit_manifest([](record::Manifest& m) { m.recipe.lr *= 2; });
  const record::Recipe recipe = record::parse_manifest(forgery.leaves()[0]).recipe;
  for (std::int64_t t = 0; t < 6; ++t)
    forgery.edit_step(t, [&](record::Step& step) { step.lr = optim::learning_rate(recipe, t); });
  expect_among(verify(forgery.seal()), Code::kUpdate, "state 1");
}

TEST_P(Training, RowsOtherThanTheClients) {
  rows({15});
  const auto with_data = [&](const std::function<void(std::string&)>& edit) {
    const RecordedRun run = fresh_copy(shape());
    std::string text = read_file(run.data(), 1 << 20);
    edit(text);
    write_file(run.data(), text);
    return verify(run);
  };
  const auto without_first_row = [](std::string& t) { t.erase(0, t.find('\n') + 1); };
  expect_only(with_data(without_first_row), Code::kData, "log line 1");
  expect_only(with_data([](std::string& t) { t += "{\"text\":\"more\"}\n"; }), Code::kData, "log line 1");
  expect_only(with_data([](std::string& t) { t[t.find("square")] = 'S'; }), Code::kData, "log line 1");
  expect_only(with_data([](std::string& t) {
                const std::size_t end = t.find('\n') + 1;
                t = t.substr(end) + t.substr(0, end);
              }),
              Code::kData, "log line 1");
}

// The provider trains on other rows and claims the client's.
TEST_P(Training, OtherRowsUnderTheClientsRoot) {
  rows({15});
  RunShape other = shape();
  other.data_rows = 8;
  const RecordedRun honest = fresh_copy(shape());
  const record::Manifest agreed = record::parse_manifest(Forgery(honest).leaves()[0]);
  Forgery forgery(fresh_copy(other));
  forgery.edit_manifest([&](record::Manifest& m) {
    m.data_root = agreed.data_root;
    m.data_rows = agreed.data_rows;
  });
  audit::VerifyOptions options = forgery.seal().options();
  options.data = honest.data();
  expect_among(audit::verify(options), Code::kData, "log line");
}

TEST_P(Training, LabelsFlippedAndHashed) {
  rows({15});
  const auto with_labels = [&](const std::function<void(std::vector<std::int32_t>&)>& edit) {
    Forgery forgery(fresh_copy(shape()));
    Digest digest;
    forgery.edit_ints(1, trace::step_dataset(0, "labels"), [&](std::vector<std::int32_t>& v) {
      edit(v);
      digest = data::ints_digest(v);
    });
    forgery.edit_step(0, [&](record::Step& step) { step.labels = digest; });
    return forgery.seal();
  };
  const auto flip = [](std::vector<std::int32_t>& v) {
    for (std::int32_t& label : v)
      if (label > 0) {
        label ^= 1;
        return;
      }
  };
  expect_among(verify(with_labels(flip)), Code::kData, "log line 3");
  // Also without the client's rows: a label is the token that follows, or none.
  audit::VerifyOptions blind = with_labels(flip).options();
  blind.data.reset();
  expect_only(audit::verify(blind), Code::kData, "log line 3");
  blind = with_labels([](auto& v) { v[0] = 100000; }).options();
  blind.data.reset();
  expect_only(audit::verify(blind), Code::kData, "log line 3");
  blind = with_labels([](auto& v) { v.pop_back(); }).options();
  blind.data.reset();
  expect_only(audit::verify(blind), Code::kData, "log line 3");
}

TEST_P(Training, TokensOutsideTheVocabulary) {
  rows({15});
  Forgery forgery(fresh_copy(shape()));
  Digest digest;
  forgery.edit_ints(1, trace::step_dataset(0, "tokens"), [&](std::vector<std::int32_t>& v) {
    v[1] = -5;
    digest = data::ints_digest(v);
  });
  forgery.edit_step(0, [&](record::Step& step) { step.token_ids = digest; });
  audit::VerifyOptions options = forgery.seal().options();
  options.data.reset();
  expect_only(audit::verify(options), Code::kData, "log line 3");
}

TEST_P(Training, ALayoutThatTheRecipeDoesNotAllow) {
  rows({15});
  for (const int kind : {0, 1, 2}) {
    Forgery forgery(fresh_copy(shape()));
    Digest digest;
    forgery.edit_ints(1, trace::step_dataset(0, "layout"), [&](std::vector<std::int32_t>& v) {
      if (kind == 0) v[0] = 0;
      if (kind == 1) v = {1, v[1] + v[3]};
      if (kind == 2) v[1] = 1 << 30;
      digest = data::ints_digest(v);
    });
    forgery.edit_step(0, [&](record::Step& step) { step.layout = digest; });
    audit::VerifyOptions options = forgery.seal().options();
    options.data.reset();
    expect_only(audit::verify(options), Code::kData, "log line 3");
  }
}

TEST_P(Training, PositionsLeftOutOrRepeated) {
  rows({15});
  Forgery gap(fresh_copy(shape()));
  gap.edit_step(3, [](record::Step& step) {
    ++step.from;
    ++step.to;
  });
  expect_among(verify(gap.seal()), Code::kOrder, "log line");
  Forgery epoch(fresh_copy(shape()));
  epoch.edit_step(5, [](record::Step& step) { step.epoch = 0; });
  expect_only(verify(epoch.seal()), Code::kOrder, "log line");
}

TEST_P(Training, AnotherTokenizer) {
  rows({15});
  Forgery forgery(fresh_copy(shape()));
  forgery.edit_manifest([](record::Manifest& m) { m.tokenizer.bytes[0] ^= 1; });
  expect_among(verify(forgery.seal()), Code::kData, "log line 1");
}

TEST_P(Training, TheWrongThingWithheld) {
  rows({24});
  Forgery state(fresh_copy(shape()));
  state.drop_datasets(0, "/state/");
  expect_only(verify(state.run()), Code::kAbsent, "step block 0");
  Forgery tensor(fresh_copy(shape()));
  tensor.drop_datasets(1, trace::state_dataset(kWeight));
  expect_only(verify(tensor.run()), Code::kAbsent, "segment-000001.h5 /state/");
  Forgery tokens(fresh_copy(shape()));
  tokens.drop_datasets(2, "/steps/3/tokens");
  expect_only(verify(tokens.run()), Code::kAbsent, "segment-000002.h5 /steps/3/tokens");
  Forgery segment(fresh_copy(shape()));
  fs::remove(trace::Layout{segment.run().trace()}.segment(2));
  expect_only(verify(segment.run()), Code::kAbsent, "segment-000002.h5");
  if (!GetParam()) return;
  Forgery boundary(fresh_copy(shape()));
  boundary.drop_datasets(2, "/steps/3/activations/1");
  expect_only(verify(boundary.run()), Code::kAbsent, "segment-000002.h5 /steps/3/activations/1");
}

// A middle snapshot may be missing: it is made again.
TEST_P(Training, ASnapshotLeftOutIsMadeAgain) {
  Forgery forgery(fresh_copy(shape()));
  forgery.drop_datasets(1, "/state/");
  forgery.drop_datasets(2, "/state/");
  EXPECT_EQ(verify(forgery.run()).outcome, audit::Outcome::kAccept);
  // But not into something else: cells 1 and 2 are reached through step block 0.
  forgery.edit_state(1, [](record::State& state) { state.blocks[1].bytes[0] ^= 1; });
  audit::VerifyOptions options = forgery.seal().options();
  options.plan = {.uniform = 1};
  int recreated = 0;
  for (std::uint8_t seed = 1; seed < 16; ++seed) {
    options.seed[0] = seed;
    recreated += find_reason(audit::verify(options), Code::kRecreate) != nullptr;
  }
  EXPECT_GT(recreated, 0);
}

INSTANTIATE_TEST_SUITE_P(Boundaries, Training, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Stored" : "MadeAgain"; });

}  // namespace
}  // namespace aftune::attacks
