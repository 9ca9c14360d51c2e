// Runs with adapters: what is theirs is recorded and replayed, and the weights that they stand beside are
// those that the client brings, or nothing is accepted.
#include <gtest/gtest.h>

#include <cmath>

#include "attacks/answer.h"
#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "base/error.h"
#include "model/folder.h"
#include "trace/layout.h"
#include "train/adapter_folder.h"

namespace aftune::attacks {
namespace {

using audit::Code;

constexpr char kAdapter[] = "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight";

RunShape lora(bool boundaries, double dropout = 0.25) {
  return {.store_boundaries = boundaries, .init = false, .lora = "q,v,down", .lora_dropout = dropout};
}

void expect_accepted(const audit::Verdict& verdict) {
  EXPECT_EQ(verdict.outcome, audit::Outcome::kAccept) << describe(verdict);
  EXPECT_EQ(verdict.checked, verdict.cells);
}

audit::VerifyOptions with_base(const fs::path& evidence, const audit::Challenge& challenge,
                               const RecordedRun& run) {
  audit::VerifyOptions options = options_for(evidence, challenge);
  options.model = run.model();
  return options;
}

TEST(Lora, EveryCellOfAnHonestRunIsAccepted) {
  for (const bool boundaries : {true, false})
    for (const double dropout : {0.0, 0.25}) {
      RunShape shape = lora(boundaries, dropout);
      expect_accepted(audit::verify(fresh_copy(shape).options()));
      shape.tied = false;
      shape.packing = true;
      shape.numerics = "f32";
      shape.lora = "q,k,v,o,gate,up,down";
      expect_accepted(audit::verify(fresh_copy(shape).options()));
    }
  for (const char* family : {"qwen2", "qwen3", "gpt2"}) {
    RunShape shape = lora(false);
    shape.family = family;
    if (family == std::string("gpt2")) shape.lora = "o,up,down,qkv";
    shape.base_dtype = "BF16";
    expect_accepted(audit::verify(fresh_copy(shape).options()));
  }
}

TEST(Lora, EvidenceIsAcceptedBesideTheBaseModel) {
  for (const bool hiding : {false, true}) {
    RunShape shape = lora(false);
    if (hiding) shape.secret = std::string(63, '0') + "1";
    const RecordedRun run = fresh_copy(shape);
    const audit::Challenge challenge = challenge_of(run, {.all = true});
    const fs::path evidence = open_evidence(run, challenge, true);
    expect_accepted(audit::verify(with_base(evidence, challenge, run)));
    // The base is in neither: what was opened is smaller than the weights that it was computed with.
    EXPECT_LT(fs::file_size(evidence), 12 * fs::file_size(run.model() / "model.safetensors"));
    const trace::SegmentReader reader(evidence);
    for (const auto& entry : reader.entries())
      EXPECT_EQ(entry.path.find("embed_tokens"), std::string::npos) << entry.path;
  }
}

// Fail closed: no base, no cell.
TEST(Lora, WithoutTheBaseModelNothingIsAccepted) {
  rows({24});
  const RecordedRun run = fresh_copy(lora(true));
  audit::VerifyOptions options = run.options();
  options.model.reset();
  audit::Verdict verdict = audit::verify(options);
  expect_only(verdict, Code::kAbsent, "base");
  EXPECT_EQ(verdict.checked, 0);
  const audit::Challenge challenge = challenge_of(run, {.all = true});
  verdict = audit::verify(options_for(open_evidence(run, challenge), challenge));
  expect_only(verdict, Code::kAbsent, "base");
  EXPECT_EQ(verdict.checked, 0);
}

TEST(Lora, AnAlteredElementOfAnAdapterIsFound) {
  rows({25});
  for (const bool boundaries : {true, false}) {
    Forgery forgery(fresh_copy(lora(boundaries)));
    forgery.edit_floats(1, trace::state_dataset(kAdapter),
                        [](std::span<float> v) { v[3] = std::nextafter(v[3], 10.0f); });
    forgery.rehash_state(1);
    const audit::Verdict verdict = audit::verify(forgery.seal().options());
    expect_among(verdict, Code::kUpdate, "cell 2,0 state 1");
    const audit::Reason* reason = find_reason(verdict, Code::kUpdate);
    ASSERT_NE(reason, nullptr);
    EXPECT_NE(reason->detail.find(cat(kAdapter, " element [0,3]: replayed")), std::string::npos)
        << reason->detail;
  }
}

TEST(Lora, AnAlteredElementBesideAWeightOfGpt2IsFound) {
  rows({25});
  const std::string name = "base_model.model.transformer.h.1.attn.c_attn.lora_B.weight";
  RunShape shape = lora(false);
  shape.family = "gpt2";
  shape.lora = "qkv";
  Forgery forgery(fresh_copy(shape));
  forgery.edit_floats(1, trace::state_dataset(name),
                      [](std::span<float> v) { v[40] = std::nextafter(v[40], 10.0f); });
  forgery.rehash_state(1);
  const audit::Verdict verdict = audit::verify(forgery.seal().options());
  expect_among(verdict, Code::kUpdate, "cell 2,0 state 1");
  const audit::Reason* reason = find_reason(verdict, Code::kUpdate);
  ASSERT_NE(reason, nullptr);
  EXPECT_NE(reason->detail.find(cat(name, " element [")), std::string::npos) << reason->detail;
}

// A layer has no product of that name: the run would not be one.
TEST(Lora, TargetsThatTheModelDoesNotHaveAreRefused) {
  rows({14});
  for (const auto& [family, targets] : {std::pair("gpt2", "q,v"), {"gpt2", "gate"}, {"llama", "qkv"}}) {
    RunShape shape = lora(true, 0);
    shape.family = family;
    shape.lora = family == std::string("gpt2") ? "qkv" : "q,v";
    Forgery forgery(fresh_copy(shape));
    const std::string claimed = targets;
    forgery.edit_manifest([&](record::Manifest& m) { m.recipe.lora_targets = claimed; });
    expect_among(audit::verify(forgery.seal().options()), Code::kClosing, "log line");
  }
}

TEST(Lora, AnotherStartThanTheSeedGives) {
  rows({25});
  Forgery forgery(fresh_copy(lora(true)));
  forgery.edit_floats(0, trace::state_dataset(kAdapter), [](std::span<float> v) { v[0] += 0.5f; });
  forgery.rehash_state(0);
  expect_among(audit::verify(forgery.seal().options()), Code::kStateBefore, "block 2");
}

// The client's base is another one than that of the run.
TEST(Lora, AnotherBaseThanTheClients) {
  rows({13});
  const RecordedRun run = fresh_copy(lora(true));
  const fs::path weights = run.model() / "model.safetensors";
  flip_bit(weights, 8 * fs::file_size(weights) - 30);
  const audit::Verdict verdict = audit::verify(run.options());
  expect_only(verdict, Code::kStateBefore, "base");
  EXPECT_EQ(verdict.checked, 0);
}

// The provider trains beside other weights, and claims the client's.
TEST(Lora, OtherWeightsUnderTheClientsDigests) {
  rows({13});
  for (const bool boundaries : {true, false}) {
    RunShape other = lora(boundaries);
    other.base_seed = 98;
    const RecordedRun honest = fresh_copy(lora(boundaries));
    const record::Manifest agreed = record::parse_manifest(Forgery(honest).leaves()[0]);
    Forgery forgery(fresh_copy(other));
    forgery.edit_manifest([&](record::Manifest& m) { m.base = agreed.base; });
    audit::VerifyOptions options = forgery.seal().options();
    options.model = honest.model();
    const audit::Verdict verdict = audit::verify(options);
    expect_among(verdict, Code::kForward, "cell 0,0 step 0");
    if (boundaries) {
      expect_among(verdict, Code::kNorm, "cell 1,1 step 2");
    }
  }
}

TEST(Lora, AnotherShapeOfAdaptersThanTheRecorded) {
  rows({16});
  const auto with = [](const std::function<void(record::Recipe&)>& edit) {
    Forgery forgery(fresh_copy(lora(true)));
    forgery.edit_manifest([&](record::Manifest& m) { edit(m.recipe); });
    return audit::verify(forgery.seal().options());
  };
  // Another rank or another target is another list of tensors.
  expect_only(with([](auto& r) { r.lora_rank = 4; }), Code::kClosing, "log line");
  expect_only(with([](auto& r) { r.lora_targets = "q,v"; }), Code::kClosing, "log line");
  expect_only(with([](auto& r) { r.lora_targets = "q,k,down"; }), Code::kClosing, "log line");
  const audit::Verdict alpha = with([](auto& r) { r.lora_alpha = 6; });
  expect_among(alpha, Code::kExport, "adapter_config.json");
  expect_among(alpha, Code::kNorm, "cell 2,0 step 0");
  const audit::Verdict dropout = with([](auto& r) { r.lora_dropout = 0.26; });
  expect_among(dropout, Code::kExport, "adapter_config.json");
  expect_among(dropout, Code::kNorm, "cell 2,0 step 0");
  // What no run can have.
  for (const char* targets : {"v,q", "q,q", "", "lm_head"})
    EXPECT_NE(with([&](auto& r) { r.lora_targets = targets; }).outcome, audit::Outcome::kAccept) << targets;
}

// The seed also decides the order of the rows and the first adapters; without the client's rows, and from a
// later state, only what is dropped is left to tell.
TEST(Lora, AnotherSeedOfTheDropout) {
  rows({14});
  Forgery forgery(fresh_copy(lora(true)));
  forgery.edit_manifest([](record::Manifest& m) { m.recipe.seed ^= 1; });
  audit::VerifyOptions options = forgery.seal().options();
  options.data.reset();
  const audit::Verdict verdict = audit::verify(options);
  expect_among(verdict, Code::kStateBefore, "block");
  expect_among(verdict, Code::kNorm, "cell 1,1 step 2");
  // Where nothing is dropped the seed is not in a step's arithmetic.
  Forgery without(fresh_copy(lora(true, 0)));
  without.edit_manifest([](record::Manifest& m) { m.recipe.seed ^= 1; });
  options = without.seal().options();
  options.data.reset();
  EXPECT_EQ(find_reason(audit::verify(options), Code::kNorm), nullptr);
}

TEST(Lora, AnAlteredExportIsFound) {
  rows({25});
  const RecordedRun run = fresh_copy(lora(true));
  const fs::path weights = run.out() / train::kAdapterWeights;
  flip_bit(weights, 8 * fs::file_size(weights) - 30);
  expect_only(audit::verify(run.options()), Code::kExport, "export");
  const RecordedRun other = fresh_copy(lora(true));
  const fs::path config = other.out() / train::kAdapterConfig;
  std::string text = read_file(config, 1 << 20);
  text.replace(text.find("\"lora_alpha\": 5"), 15, "\"lora_alpha\": 9");
  write_file(config, text);
  expect_only(audit::verify(other.options()), Code::kExport, "adapter_config.json");
}

TEST(Lora, GoesOnFromAdapters) {
  rows({13});
  const RecordedRun first = fresh_copy(lora(false));
  RunShape shape = lora(true);
  shape.adapter = first.out();
  const RecordedRun run = fresh_copy(shape);
  audit::VerifyOptions options = run.options();
  options.adapter = first.out();
  expect_accepted(audit::verify(options));
  options.adapter.reset();
  EXPECT_TRUE(leaves_open(audit::verify(options), "adapter:"));
  // The client gave others.
  RunShape others = lora(false);
  others.seed = 8;
  options.adapter = fresh_copy(others).out();
  expect_only(audit::verify(options), Code::kStateBefore, "adapter");
  // State 0 is not what the manifest lists.
  Forgery forgery(fresh_copy(shape));
  forgery.edit_manifest([](record::Manifest& m) { m.adapter.reset(); });
  expect_among(audit::verify(forgery.seal().options()), Code::kStateBefore, "block");
}

TEST(Lora, APolicyPinsThem) {
  rows({16});
  const RecordedRun run = fresh_copy(lora(true));
  const auto with = [&](const std::string& recipe) {
    audit::VerifyOptions options = run.options();
    options.policy = audit::parse_policy(cat(R"({"version":1,"recipe":{)", recipe, "}}"));
    return audit::verify(options);
  };
  EXPECT_EQ(with(R"("method":"lora","lora_rank":3,"lora_alpha":5,"lora_targets":"q,v,down",)"
                 R"("lora_dropout":{"max":0.5})")
                .outcome,
            audit::Outcome::kAccept);
  expect_only(with(R"("method":"full")"), Code::kPolicy, "method");
  expect_only(with(R"("lora_rank":4)"), Code::kPolicy, "lora_rank");
  expect_only(with(R"("lora_alpha":5.5)"), Code::kPolicy, "lora_alpha");
  expect_only(with(R"("lora_targets":"q,v")"), Code::kPolicy, "lora_targets");
  expect_only(with(R"("lora_dropout":0)"), Code::kPolicy, "lora_dropout");
  EXPECT_TRUE(leaves_open(with(R"("method":"lora")"), "policy:"));
}

}  // namespace
}  // namespace aftune::attacks
