// Rows 13, 22, 23: what the run began from, and what was shipped.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "attacks/expect.h"
#include "attacks/forgery.h"
#include "hash/blake3.h"
#include "model/folder.h"
#include "trace/layout.h"

namespace aftune::attacks {
namespace {

using audit::Code;

constexpr char kWeight[] = "model.layers.0.self_attn.q_proj.weight";

audit::Verdict verify(const RecordedRun& run) {
  return audit::verify(run.options());
}

// The base model's weights, one of them changed, as the folder that a run or an auditor is given.
void change_base(const RecordedRun& run, const std::string& name) {
  const fs::path file = run.model() / "model.safetensors";
  std::vector<TensorSpec> specs;
  std::map<std::string, Bytes> bytes;
  {
    const auto checkpoint = model::Checkpoint::open(run.model());
    for (const auto& [key, entry] : checkpoint.entries()) {
      specs.push_back(entry.spec);
      bytes[key] = Bytes(entry.bytes.begin(), entry.bytes.end());
    }
  }
  bytes[name][2] ^= std::byte{1};
  fs::remove(file);
  model::write_safetensors(file, specs, [&](const TensorSpec& s) { return ByteView(bytes.at(s.name)); });
}

class Base : public testing::TestWithParam<const char*> {
 protected:
  RunShape shape() const { return {.init = false, .base_dtype = GetParam()}; }
};

TEST_P(Base, IsNotTheClients) {
  rows({13});
  const RecordedRun run = fresh_copy(shape());
  change_base(run, kWeight);
  expect_only(verify(run), Code::kStateBefore, std::string("log line 1 base ") + kWeight);
}

// The manifest claims the agreed base; state 0 is another.
TEST_P(Base, IsClaimedButWasNotUsed) {
  rows({13});
  Forgery forgery(fresh_copy(shape()));
  forgery.edit_floats(0, trace::state_dataset(kWeight), [](std::span<float> v) { v[3] += 0.5f; });
  forgery.rehash_state(0);
  expect_among(verify(forgery.seal()), Code::kStateBefore, "block 1");
}

TEST_P(Base, BeganWithMomentsOfUnrecordedSteps) {
  rows({22});
  Forgery forgery(fresh_copy(shape()));
  forgery.edit_floats(0, trace::state_dataset(std::string(kWeight) + ".exp_avg"),
                      [](std::span<float> v) { v[3] = 0.5f; });
  forgery.rehash_state(0);
  expect_among(verify(forgery.seal()), Code::kStateBefore, "block 1");
}

// Finer than the base's type can say: the rounded weights are the base's, the weights are not.
TEST_P(Base, WasChangedBelowItsPrecision) {
  rows({13, 25});
  if (std::string(GetParam()) == "F32") return;
  Forgery forgery(fresh_copy(shape()));
  forgery.edit_floats(0, trace::state_dataset(kWeight),
                      [](std::span<float> v) { v[3] = std::nextafter(v[3], 10.0f); });
  forgery.rehash_state(0);
  expect_among(verify(forgery.seal()), Code::kStateBefore, kWeight);
}

TEST_P(Base, IsNotThePolicys) {
  rows({13});
  audit::VerifyOptions options = fresh_copy(shape()).options();
  options.policy = audit::parse_policy("{\"version\":1,\"base_root\":\"" + std::string(64, 'a') + "\"}");
  expect_only(audit::verify(options), Code::kPolicy, "base");
}

INSTANTIATE_TEST_SUITE_P(Types, Base, testing::Values("F32", "F16", "BF16"));

TEST(BaseOfARun, InitialWeightsThatTheSeedDoesNotGive) {
  rows({13});
  Forgery forgery(fresh_copy({}));
  forgery.edit_floats(0, trace::state_dataset(kWeight), [](std::span<float> v) { v[3] += 0.5f; });
  forgery.rehash_state(0);
  // The manifest's digests of state 0 follow.
  Digest digest;
  forgery.edit_floats(0, trace::state_dataset(kWeight),
                      [&](std::span<float> v) { digest = hash::blake3(std::as_bytes(v)); });
  audit::LogView log(forgery.leaves());
  log.parse_manifest();
  log.parse_config();
  forgery.edit_manifest([&](record::Manifest& m) {
    for (std::size_t i = 0; i < log.tensors().size(); ++i)
      if (log.tensors()[i].name == kWeight) m.base.digests[i] = digest;
    m.base.root = record::tensor_root(log.tensors(), m.base.digests);
  });
  expect_among(verify(forgery.seal()), Code::kStateBefore, "block 1");
}

TEST(BaseOfARun, AnotherConfigThanTheClients) {
  rows({13});
  const RecordedRun run = fresh_copy({});
  std::string text = read_file(run.model() / "config.json", 1 << 20);
  text.replace(text.find("10000"), 5, "20000");
  write_file(run.model() / "config.json", text);
  expect_only(verify(run), Code::kStateBefore, "config");
}

TEST(Export, AFileEditedAfterTraining) {
  rows({23});
  for (const char* name : {"model.safetensors", "config.json", "tokenizer.json"}) {
    const RecordedRun run = fresh_copy({});
    const fs::path file = run.out() / name;
    flip_bit(file, 8 * (fs::file_size(file) - 3));
    expect_among(verify(run), Code::kExport, std::string("export ") + name);
  }
}

TEST(Export, AFileThatIsNotThere) {
  rows({23, 24});
  const RecordedRun run = fresh_copy({});
  fs::remove(run.out() / "tokenizer.json");
  expect_only(verify(run), Code::kAbsent, "export tokenizer.json");
}

TEST(Export, AFileTooMany) {
  rows({23});
  const RecordedRun run = fresh_copy({});
  write_file(run.out() / "adapter_model.safetensors", "x");
  expect_only(verify(run), Code::kExport, "export adapter_model.safetensors");
}

// Weights trained on after the last recorded step, or edited: everything signed follows, but the last state.
TEST(Export, WeightsOfAfterTheLastStep) {
  rows({22});
  Forgery forgery(fresh_copy({}));
  forgery.edit_floats(3, trace::state_dataset(kWeight), [](std::span<float> v) { v[3] += 0.5f; });
  forgery.rehash_final();
  const audit::Verdict verdict = verify(forgery.seal());
  expect_among(verdict, Code::kExport, "log line 12 block 1");
}

TEST(Export, ALastStateThatTheLastStepDidNotGive) {
  rows({22});
  for (const bool boundaries : {true, false}) {
    Forgery forgery(fresh_copy({.store_boundaries = boundaries}));
    forgery.edit_floats(3, trace::state_dataset(kWeight), [](std::span<float> v) { v[3] += 0.5f; });
    forgery.rehash_state(3);
    forgery.rehash_final();
    expect_only(verify(forgery.seal()), Code::kUpdate, "cell 1,2 state 3");
  }
}

TEST(Export, FilesThatTheManifestDoesNotGive) {
  rows({23});
  Forgery config(fresh_copy({}));
  std::string text = read_file(config.run().out() / "config.json", 1 << 20);
  text.replace(text.find("10000"), 5, "20000");
  write_file(config.run().out() / "config.json", text);
  config.edit_final([&](record::Final& final) { final.files["config.json"] = hash::blake3(text); });
  expect_only(verify(config.seal()), Code::kExport, "log line 12 config.json");
  Forgery extra(fresh_copy({}));
  write_file(extra.run().out() / "adapter_model.safetensors", "x");
  extra.edit_final(
      [&](record::Final& final) { final.files["adapter_model.safetensors"] = hash::blake3("x"); });
  expect_among(verify(extra.seal()), Code::kExport, "log line 12 adapter_model.safetensors");
  Forgery missing(fresh_copy({}));
  missing.edit_final([&](record::Final& final) { final.files.erase("tokenizer.json"); });
  expect_among(verify(missing.seal()), Code::kExport, "log line 12 tokenizer.json");
}

TEST(Export, AListWhoseRootIsAnother) {
  rows({23});
  Forgery forgery(fresh_copy({}));
  forgery.edit_final([](record::Final& final) { final.exported.root.bytes[0] ^= 1; });
  expect_only(verify(forgery.seal()), Code::kClosing, "log line 12");
}

}  // namespace
}  // namespace aftune::attacks
