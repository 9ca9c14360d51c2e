// Runs of profile native, trained on the emulated device with the library that stands in for cuBLAS: what
// passes, where, and what does not.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <memory>

#include "attacks/answer.h"
#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "audit/bounds.h"
#include "audit/opening.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "kernels/cuda/cuda_device.h"
#include "kernels/native.h"
#include "kernels/ops.h"
#include "optim/optimizer.h"
#include "tensor/tensor.h"
#include "trace/layout.h"

namespace aftune::attacks {
namespace {

using audit::Code;
using audit::Outcome;
using audit::Verdict;

/// The emulated device, for as long as it computes.
class OnDevice {
 public:
  OnDevice() : device_(kernels::cuda::open_device(0)) { use_memory_of(device_.get()); }
  ~OnDevice() { use_memory_of(nullptr); }
  Accelerator* get() const { return device_.get(); }

 private:
  std::unique_ptr<kernels::Device> device_;
};

RunShape native_shape() {
  return {.store_boundaries = true, .steps = 3, .steps_per_block = 1, .lr = 1e-3, .numerics = "native"};
}

RecordedRun native_run(RunShape shape = native_shape()) {
  const OnDevice device;
  shape.accelerator = device.get();
  return fresh_copy(shape);
}

/// Of that device, of few samples; calibrate() itself is tried in gpu.native_tools.
audit::Bounds bounds(const std::string& device = "emulated device", double worst = 2) {
  audit::Bounds b;
  b.machine = {device, "8.0", "cuBLAS 0.12.3"};
  b.software = "test";
  b.samples = {{"linear", 64, 64, 64, 1, worst}};
  b.bound = audit::bound_of(b.samples);
  return audit::parse_bounds(audit::to_text(b));
}

Verdict verify_on_processor(const RecordedRun& run, const audit::Bounds& given = bounds()) {
  audit::VerifyOptions options = run.options();
  options.bounds = given;
  return audit::verify(options);
}

void expect_accepted(const Verdict& verdict, std::int64_t bit_for_bit, std::int64_t within) {
  EXPECT_EQ(verdict.outcome, Outcome::kAccept) << describe(verdict);
  ASSERT_TRUE(verdict.native.has_value());
  EXPECT_EQ(verdict.native->bit_for_bit, bit_for_bit);
  EXPECT_EQ(verdict.native->within_bounds, within);
  const Json json = to_json(verdict);
  EXPECT_EQ(json["comparison"], "tolerance");
  EXPECT_EQ(describe(verdict).find("exactly"), std::string::npos);
  EXPECT_TRUE(leaves_open(verdict, "tolerance: "));
  // It is a verdict that reads back as itself.
  EXPECT_EQ(to_json(audit::parse_verdict(json_text(json))), json);
}

TEST(Native, IsBitForBitOnTheSameDeviceAndStillNotExact) {
  const RecordedRun run = native_run();
  const OnDevice device;
  audit::VerifyOptions options = run.options();
  options.accelerator = device.get();
  const Verdict verdict = audit::verify(options);
  expect_accepted(verdict, verdict.cells, 0);
  EXPECT_EQ(verdict.native->machine.library, "cuBLAS 0.12.3");
}

TEST(Native, IsWithinBoundsElsewhere) {
  for (const bool tied : {true, false}) {
    RunShape shape = native_shape();
    shape.tied = tied;
    shape.layers_per_block = tied ? 1 : 2;
    const Verdict verdict = verify_on_processor(native_run(shape));
    expect_accepted(verdict, 0, verdict.cells);
    EXPECT_GT(verdict.native->tolerances.worst, 0);
    EXPECT_LT(verdict.native->tolerances.worst, 0.5) << describe(verdict);
    EXPECT_LT(verdict.native->tolerances.loosest, 0.2) << describe(verdict);
  }
}

TEST(Native, OfAdaptersToo) {
  RunShape shape = native_shape();
  shape.init = false;
  shape.lora = "q,v,down";
  const RecordedRun run = native_run(shape);
  const Verdict verdict = verify_on_processor(run);
  expect_accepted(verdict, 0, verdict.cells);
}

TEST(Native, IsNothingElsewhereWithoutBounds) {
  rows({11});
  const RecordedRun run = native_run();
  const Verdict verdict = audit::verify(run.options());
  expect_only(verdict, Code::kAbsent, "native products");
  EXPECT_EQ(to_json(verdict)["comparison"], "tolerance");
  expect_only(verify_on_processor(run, bounds("another device")), Code::kAbsent, "native products");
}

TEST(Native, IsComparedWhereAllOfItIsRecorded) {
  for (const auto& lack : {0, 1, 2}) {
    RunShape shape = native_shape();
    if (lack == 0) shape.store_boundaries = false;
    if (lack == 1) shape.snapshot_interval = 2;
    if (lack == 2) shape.steps_per_block = 2;
    const RecordedRun run = native_run(shape);
    const Verdict verdict = verify_on_processor(run);
    EXPECT_EQ(verdict.outcome, Outcome::kIncomplete) << describe(verdict);
    EXPECT_NE(find_reason(verdict, Code::kAbsent), nullptr) << describe(verdict);
    const OnDevice device;
    audit::VerifyOptions options = run.options();
    options.accelerator = device.get();
    const Verdict there = audit::verify(options);
    expect_accepted(there, there.cells, 0);
  }
}

TEST(Native, PoliciesThatDoNotNameItForbidIt) {
  rows({11});
  const RecordedRun run = native_run();
  const auto with = [&](const char* policy) {
    audit::VerifyOptions options = run.options();
    options.bounds = bounds();
    options.policy = audit::parse_policy(policy);
    return audit::verify(options);
  };
  expect_only(with(R"({"version":1})"), Code::kPolicy, "numerics");
  expect_only(with(R"({"version":1,"numerics":["f32","i14:256"]})"), Code::kPolicy, "numerics");
  EXPECT_EQ(with(R"({"version":1,"numerics":["f32","native"]})").outcome, Outcome::kAccept);
}

// The run took the short cut and says that it did not.
TEST(Native, CalledF32) {
  rows({11, 16});
  Forgery forgery(native_run());
  forgery.edit_manifest([&](record::Manifest& m) {
    m.profile = "f32";
    m.native.reset();
    m.ops = kernels::op_names(kernels::Profile{}, {});
  });
  const Verdict verdict = audit::verify(forgery.seal().options());
  expect_only(verdict, Code::kNorm, "cell 0,0 step 0 unit 0");
  EXPECT_EQ(to_json(verdict)["comparison"], "exact");
}

TEST(Native, OfAMachineThatItDoesNotName) {
  Forgery forgery(native_run());
  forgery.edit_manifest([](record::Manifest& m) { m.native.reset(); });
  expect_among(audit::verify(forgery.seal().options()), Code::kClosing, "log line 1");
}

constexpr char kSecret[] = "5ca1ab1e00000000000000000000000000000000000000000000000000000000";
constexpr char kLayer0[] = "model.layers.0.mlp.up_proj.weight";
constexpr char kWeight[] = "model.layers.1.mlp.up_proj.weight";

// One weight that no gradient explains: by however little, since only gradients have a tolerance.
TEST(Native, AForgedWeightByOneUnitInTheLastPlace) {
  rows({16, 25});
  Forgery forgery(native_run());
  forgery.edit_floats(2, trace::state_dataset(kWeight),
                      [](std::span<float> w) { w[5] = std::nextafter(w[5], 10.0f); });
  forgery.rehash_state(2);
  const Verdict verdict = verify_on_processor(forgery.seal());
  expect_only(verdict, Code::kUpdate, "cell 2,1 state 2");
  EXPECT_NE(verdict.reasons[0].detail.find("no gradient gives this update"), std::string::npos);
}

/// State s of one weight as adamw/1 makes it of `part` times the clipped gradient that was.
void scale_gradient(Forgery& forgery, std::int64_t s, const std::string& weight, float part) {
  std::map<std::string, std::vector<float>> before, after;
  for (const std::string moment : {"", ".exp_avg", ".exp_avg_sq"}) {
    const std::string dataset = trace::state_dataset(weight + moment);
    forgery.edit_floats(s - 1, dataset,
                        [&](std::span<float> v) { before[moment].assign(v.begin(), v.end()); });
    forgery.edit_floats(s, dataset, [&](std::span<float> v) { after[moment].assign(v.begin(), v.end()); });
  }
  const audit::LogView& log = forgery.log();
  const record::Step step = log.step(s - 1);
  const kernels::AdamW op =
      optim::adamw_scalars(log.manifest().recipe, s - 1, step.lr, 1.0f, {"w", DType::kF32, {1, 1}});
  std::vector<float> gradient;
  for (std::size_t i = 0; i < before[""].size(); ++i) {
    const float m = before[".exp_avg"][i];
    gradient.push_back(part * ((after[".exp_avg"][i] - m) / op.one_minus_beta1 + m));
  }
  ThreadPool pool(1);
  kernels::adamw(pool, op, std::ssize(gradient), before[""].data(), before[".exp_avg"].data(),
                 before[".exp_avg_sq"].data(), gradient.data());
  for (const auto& [moment, values] : before)
    forgery.edit_floats(s, trace::state_dataset(weight + moment),
                        [&](std::span<float> v) { std::copy(values.begin(), values.end(), v.begin()); });
  forgery.rehash_state(s);
}

// An update that adamw/1 makes, of another gradient.
TEST(Native, AForgedGradient) {
  rows({16});
  for (const float part : {0.0f, 0.5f, 0.8f, 1.25f, -1.0f}) {
    Forgery forgery(native_run());
    scale_gradient(forgery, 2, kWeight, part);
    const Verdict verdict = verify_on_processor(forgery.seal());
    expect_only(verdict, Code::kUpdate, "cell 2,1 state 2");
    EXPECT_NE(verdict.reasons[0].detail.find("its gradient: "), std::string::npos);
  }
  // What is allowed to differ: docs/audit.native.md says so.
  Forgery small(native_run());
  scale_gradient(small, 3, kWeight, 1.0f + 0x1p-12f);
  small.rehash_final();
  expect_accepted(verify_on_processor(small.seal()), 0, small.grid().cells());
}

TEST(Native, AForgedMoment) {
  rows({19});
  for (const char* moment : {".exp_avg", ".exp_avg_sq"}) {
    Forgery forgery(native_run());
    forgery.edit_floats(2, trace::state_dataset(std::string(kWeight) + moment),
                        [](std::span<float> m) { m[5] = 0.5f * m[5]; });
    forgery.rehash_state(2);
    expect_only(verify_on_processor(forgery.seal()), Code::kUpdate, "cell 2,1 state 2");
  }
}

TEST(Native, AForgedBoundary) {
  rows({17});
  for (const char* side : {"activations", "gradients"}) {
    Forgery forgery(native_run());
    const std::string dataset = cat("/steps/1/", side, "/1");
    Digest digest;
    forgery.edit_floats(2, dataset, [&](std::span<float> values) {
      values[7] *= 1.5f;
      digest = hash::blake3(std::as_bytes(values));
    });
    const bool forward = side[0] == 'a';
    forgery.edit_step(1,
                      [&](record::Step& step) { (forward ? step.activations : step.gradients)[1] = digest; });
    const Verdict verdict = verify_on_processor(forgery.seal());
    expect_among(verdict, forward ? Code::kForward : Code::kBackward,
                 cat("cell ", forward ? 1 : 2, ",1 step 1 ", forward ? "activation 1" : "gradient 1"));
  }
}

TEST(Native, AForgedSumOrLoss) {
  rows({18, 21});
  Forgery sums(native_run());
  sums.edit_step(1, [](record::Step& step) { step.sums[2] *= 1.5; });
  expect_among(verify_on_processor(sums.seal()), Code::kNorm);
  Forgery loss(native_run());
  loss.edit_step(1, [](record::Step& step) { step.loss *= 0.9f; });
  expect_only(verify_on_processor(loss.seal()), Code::kLoss, "step 1");
}

TEST(Native, AStepThatWasNotMade) {
  rows({16});
  Forgery forgery(native_run());
  // State 2 is state 1.
  std::map<std::string, std::vector<float>> before;
  for (const char* part : {"", ".exp_avg", ".exp_avg_sq"}) {
    const std::string dataset = trace::state_dataset(std::string(kWeight) + part);
    forgery.edit_floats(1, dataset, [&](std::span<float> v) { before[part].assign(v.begin(), v.end()); });
    forgery.edit_floats(2, dataset, [&](std::span<float> v) {
      std::copy(before[part].begin(), before[part].end(), v.begin());
    });
  }
  forgery.rehash_state(2);
  expect_among(verify_on_processor(forgery.seal()), Code::kUpdate, "cell 2,1 state 2");
}

TEST(Native, ValuesThatAreNotFinite) {
  rows({18});
  for (const float bad : {HUGE_VALF, NAN}) {
    Forgery weight(native_run());
    weight.edit_floats(2, trace::state_dataset(kWeight), [&](std::span<float> w) { w[5] = bad; });
    weight.rehash_state(2);
    expect_among(verify_on_processor(weight.seal()), Code::kNonFinite, "cell 2,1 state 2");
    Forgery boundary(native_run());
    Digest digest;
    boundary.edit_floats(2, "/steps/1/activations/1", [&](std::span<float> values) {
      values[7] = bad;
      digest = hash::blake3(std::as_bytes(values));
    });
    boundary.edit_step(1, [&](record::Step& step) { step.activations[1] = digest; });
    const Verdict verdict = verify_on_processor(boundary.seal());
    expect_among(verdict, Code::kForward, "cell 1,1 step 1 activation 1");
    expect_among(verdict, Code::kNonFinite, "cell 2,1");
  }
}

TEST(Native, DamageOfTheRecord) {
  rows({24});
  Forgery snapshot(native_run());
  snapshot.edit_floats(2, trace::state_dataset(kWeight), [](std::span<float> w) { w[5] += 1.0f; });
  expect_among(verify_on_processor(snapshot.run()), Code::kEvidence, "segment-000002.h5");
  Forgery boundary(native_run());
  boundary.edit_floats(2, "/steps/1/activations/1", [](std::span<float> v) { v[7] += 1.0f; });
  expect_among(verify_on_processor(boundary.run()), Code::kEvidence, "segment-000002.h5");
  // Of what is asked on the same device nothing is left out either.
  const OnDevice device;
  audit::VerifyOptions options = boundary.run().options();
  options.accelerator = device.get();
  expect_among(audit::verify(options), Code::kEvidence, "segment-000002.h5");
}

// On the same device a forgery is not bit for bit; then bounds decide, and without them no one.
TEST(Native, AForgedWeightOnTheSameDevice) {
  rows({16});
  Forgery forgery(native_run());
  forgery.edit_floats(2, trace::state_dataset(kWeight),
                      [](std::span<float> w) { w[5] = std::nextafter(w[5], 10.0f); });
  forgery.rehash_state(2);
  forgery.seal();
  const OnDevice device;
  audit::VerifyOptions options = forgery.run().options();
  options.accelerator = device.get();
  expect_only(audit::verify(options), Code::kAbsent, "native products");
  options.bounds = bounds();
  expect_only(audit::verify(options), Code::kUpdate, "cell 2,1 state 2");
}

Verdict verify_evidence(const fs::path& evidence, const audit::Challenge& challenge, bool own_bounds = true) {
  audit::VerifyOptions options = options_for(evidence, challenge);
  if (own_bounds) options.bounds = bounds();
  return audit::verify(options);
}

TEST(NativeEvidence, IsAllThatAnAuditorNeeds) {
  for (const auto& [secret, packing] : {std::pair("", true), std::pair(kSecret, false)}) {
    RunShape shape = native_shape();
    shape.secret = secret;
    shape.packing = packing;
    const RecordedRun run = native_run(shape);
    const audit::Challenge challenge = challenge_of(run, {.all = true});
    const fs::path evidence = open_evidence(run, challenge);
    const Verdict verdict = verify_evidence(evidence, challenge);
    expect_accepted(verdict, 0, verdict.cells);
    expect_only(verify_evidence(evidence, challenge, false), Code::kAbsent, "native products");
    const OnDevice device;
    audit::VerifyOptions options = options_for(evidence, challenge);
    options.accelerator = device.get();
    expect_accepted(audit::verify(options), verdict.cells, 0);
  }
}

TEST(NativeEvidence, OfAdaptersToo) {
  RunShape shape = native_shape();
  shape.init = false;
  shape.lora = "q,v,down";
  const RecordedRun run = native_run(shape);
  const audit::Challenge challenge = challenge_of(run, {.all = true});
  audit::VerifyOptions options = options_for(open_evidence(run, challenge), challenge);
  options.bounds = bounds();
  options.model = run.model();
  const Verdict verdict = audit::verify(options);
  expect_accepted(verdict, 0, verdict.cells);
}

// Neighbours share a state, which is in the file, and counted, once.
TEST(NativeEvidence, DisclosesWhatIsCounted) {
  const RecordedRun run = native_run();
  audit::Challenge challenge = challenge_of(run, {.uniform = 1});
  challenge.must = {{1, 0}, {1, 1}, {2, 1}};
  const fs::path file = new_path(".h5");
  const audit::Opened opened =
      audit::open({.trace = run.trace(), .challenge = challenge, .out = file, .quiet = true});
  const ForgedAnswer answer(file);
  std::uint64_t bytes = 0;
  for (const auto& [name, dataset] : answer.datasets) bytes += dataset.bytes.size();
  EXPECT_EQ(opened.disclosed.tensors, std::ssize(answer.datasets));
  EXPECT_EQ(opened.disclosed.bytes, bytes);
}

TEST(NativeEvidence, LacksNothingThatACellMade) {
  rows({11});
  const RecordedRun run = native_run();
  audit::Challenge challenge = challenge_of(run, {.uniform = 1});
  challenge.must = {{1, 1}};
  const fs::path evidence = open_evidence(run, challenge, true);
  for (const std::string& made : {cat("/state/2/", kLayer0), std::string("/steps/1/activations/1"),
                                  std::string("/steps/1/gradients/0")}) {
    ForgedAnswer without(evidence);
    ASSERT_EQ(without.datasets.erase(made), 1) << made;
    expect_only(verify_evidence(without.write(ForgedAnswer::By::kProvider), challenge), Code::kAbsent, made);
    for (const auto& [liar, code] : {std::pair(ForgedAnswer::By::kProvider, Code::kEvidence),
                                     std::pair(ForgedAnswer::By::kCourier, Code::kUnattributed)}) {
      ForgedAnswer other(evidence);
      other.flip(made, 77);
      const Verdict verdict = verify_evidence(other.write(liar), challenge);
      EXPECT_NE(verdict.outcome, Outcome::kAccept);
      EXPECT_NE(find_reason(verdict, code), nullptr) << describe(verdict);
    }
  }
}

TEST(NativeEvidence, ShowsAForgery) {
  rows({16, 25});
  Forgery forgery(native_run());
  scale_gradient(forgery, 2, kWeight, 0.5f);
  const RecordedRun& run = forgery.seal();
  const audit::Challenge challenge = challenge_of(run, {.all = true});
  const Verdict verdict = verify_evidence(open_evidence(run, challenge, true), challenge);
  expect_only(verdict, Code::kUpdate, "cell 2,1 state 2");
}

// What the trace has not is made again where it has the run's bits, and nowhere else.
TEST(NativeEvidence, IsMadeAgainOnTheSameDevice) {
  for (const bool boundaries : {true, false}) {
    RunShape shape = native_shape();
    shape.store_boundaries = boundaries;
    shape.snapshot_interval = 2;
    const RecordedRun run = native_run(shape);
    const audit::Challenge challenge = challenge_of(run, {.all = true});
    try {
      open_evidence(run, challenge);
      FAIL() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kUsage);
      EXPECT_STREQ(e.what(), "what is not stored of a native run is made again on its own device only");
    }
    const fs::path file = new_path(".h5");
    {
      const OnDevice device;
      audit::open({.trace = run.trace(),
                   .challenge = challenge,
                   .out = file,
                   .accelerator = device.get(),
                   .quiet = true});
    }
    const Verdict verdict = verify_evidence(file, challenge);
    expect_accepted(verdict, 0, verdict.cells);
  }
}

TEST(Native, IsTrainedOnADeviceOnly) {
  RunShape shape = native_shape();
  try {
    record_run(new_path(), shape);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kUsage);
    EXPECT_STREQ(e.what(),
                 "--numerics native needs --device cuda: its products are those of a GPU's library");
  }
}

TEST(NativeBounds, AreReadStrictly) {
  const std::string honest = audit::to_text(bounds());
  const auto refused = [&](const std::function<void(Json&)>& edit, bool rehash) {
    Json json = parse_json(honest);
    edit(json);
    if (rehash) {
      json.erase("digest");
      json["digest"] = to_hex(hash::blake3(canonical_json(json)));
    }
    try {
      audit::parse_bounds(canonical_json(json));
      return false;
    } catch (const Error& e) {
      return e.fault() == Fault::kEvidence;
    }
  };
  EXPECT_FALSE(refused([](Json&) {}, true));
  EXPECT_TRUE(refused([](Json& j) { j["device"] = "another"; }, false));
  EXPECT_FALSE(refused([](Json& j) { j["device"] = "another"; }, true));
  EXPECT_TRUE(refused([](Json& j) { j["bound"] = double_hex(1e9); }, true));
  EXPECT_TRUE(refused([](Json& j) { j["bound"] = double_hex(8); }, true));
  EXPECT_TRUE(refused([](Json& j) { j["samples"] = Json::array(); }, true));
  EXPECT_TRUE(refused([](Json& j) { j["samples"][0]["worst"] = double_hex(NAN); }, true));
  EXPECT_TRUE(refused([](Json& j) { j["samples"][0]["product"] = "other"; }, true));
  EXPECT_TRUE(refused([](Json& j) { j["version"] = 2; }, true));
  EXPECT_TRUE(refused([](Json& j) { j["op"] = "matmul-f32/1"; }, true));
  EXPECT_TRUE(refused([](Json& j) { j.erase("created"); }, true));
  EXPECT_TRUE(refused([](Json& j) { j["more"] = 1; }, true));
}

}  // namespace
}  // namespace aftune::attacks
