// What must not change a bit of a step: threads, micro-batches, recomputation, how layers are cut into
// blocks.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <tuple>

#include "hash/blake3.h"
#include "llama_fixture.h"

namespace aftune::train {
namespace {

struct Way {
  int threads = 1;
  std::int64_t micro_batch = 3;
  bool recompute = false;
  int layers_per_block = 1;
};

/// One digest of all losses, norms, parameters and moments of three steps, unit by unit.
Digest fingerprint(const LlamaFixture& fixture, const kernels::Profile& profile, const Way& run) {
  ThreadPool pool(run.threads);
  model::EngineOptions options = fixture.options(pool, run.layers_per_block, run.recompute);
  options.profile = profile;
  Engine engine(options);
  fixture.load(engine);
  hash::Blake3 all;
  for (std::int64_t t = 0; t < 3; ++t) {
    const data::Rows rows = fixture.rows(t);
    const StepResult r = engine.step(t, 1e-3, LlamaFixture::predicted(rows), rows, run.micro_batch, nullptr);
    all.update(float_hex(r.loss)).update(double_hex(r.norm)).update(float_hex(r.clip));
    for (const double sum : r.unit_sums) all.update(double_hex(sum));
  }
  for (const TensorSpec& spec : model::all_tensors(fixture.config))
    for (const auto& block : engine.blocks())
      for (const model::Parameter& p : block->parameters())
        if (p.spec.name == spec.name) {
          all.update(p.value.bytes());
          for (const Buffer& m : p.moments) all.update(m.bytes());
        }
  return all.finish();
}

/// Fingerprints that every machine, instruction set and release must give until an operation's version
/// changes.
const std::map<std::string, std::string> kKnown = {
    {"tied f32", "f5f156dc065162de86335e6ff529c83e1a0a2f4bb4de5c3c89590403934112f7"},
    {"tied i14", "3fdd75e8a74ccfd9acc89d29f845eff88ec2f8def7120262a78eb31f3fd59bd9"},
    {"grouped f32", "29af2dad359c463e32f85de99e3111736e27a5d73a0603c75c6e7e037c306305"},
    {"grouped i14", "7021edcd9b4e2ae19190e6224363e5d6ac67adf4c66ad052748397ae171765ba"},
    {"packed f32", "f442adaea7e33dcccd04963c44f72dc9012d7624b75ea461cf4d0fb25e3d4cf9"},
    {"packed i14", "ede458cadc3fb142056243057585a07c27eecd1c0c3e1f0ab9e4b479cdb224d7"},
    {"sgd f32", "deda1187b2a2d4c172b2df182e5bb317e46dc678474f67cf218917fce2ff534a"},
    {"sgd i14", "e4ace6b3598a3e85b1f6759bb5cf8171f9d7cca1c57f923bc8713e348a37b999"},
    {"mistral f32", "68db30b7d170c42daa11cf376d77673e3aa1ecc3f31febbe47c2d54c7f660488"},
    {"mistral i14", "60b2f464de27d4a8e974938068307b7a3879b568c09b690b19d02d3f5ee64f22"},
    {"qwen2 f32", "adcb526771b186db7b07e4a7ffe71f19f1026f42257766c657608975fb95cb5c"},
    {"qwen2 i14", "ee75eaaecc9cd49d8ece26af3517bc707a790104f28471223e7275ebed780d76"},
    {"qwen3 f32", "b3043707e25188664164bae4022073bbc8e30336146e4751d8e16a1dd772c684"},
    {"qwen3 i14", "b94735459599f19145af5114a2ea2f35db3c50368d03741057d3b2e18a69c621"},
    {"gpt2 f32", "eaf8dcc1bb599b063307e49338df27bef995569741a937d4d9e4492739fa0f2d"},
    {"gpt2 i14", "725288139fe7efa041b9e2ee47e59ddb57c74b2940e88f7b8573ec73efc912d4"}};

class EngineBits : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  const LlamaFixture fixture{std::get<0>(GetParam())};
  const kernels::Profile profile = *kernels::profile_from_name(std::get<1>(GetParam()));
};

TEST_P(EngineBits, DependOnNothingButTheInputs) {
  const auto bits = [&](const Way& run) { return fingerprint(fixture, profile, run); };
  const Digest expected = bits({});
  EXPECT_EQ(to_hex(expected), kKnown.at(cat(std::get<0>(GetParam()), ' ', std::get<1>(GetParam()))));
  EXPECT_EQ(bits({.threads = 2}), expected);
  EXPECT_EQ(bits({.threads = 3}), expected);
  EXPECT_EQ(bits({.micro_batch = 1}), expected);
  EXPECT_EQ(bits({.micro_batch = 2}), expected);
  EXPECT_EQ(bits({.recompute = true}), expected);
  EXPECT_EQ(bits({.layers_per_block = 2}), expected);
  EXPECT_EQ(bits({.threads = 2, .micro_batch = 1, .recompute = true, .layers_per_block = 2}), expected);
}

// Between steps too: what was quantised for the step before is no longer what the weights are.
TEST_P(EngineBits, EvaluationEqualsTheLossOfAStep) {
  ThreadPool pool(1);
  model::EngineOptions options = fixture.options(pool);
  options.profile = profile;
  Engine engine(options);
  fixture.load(engine);
  const data::Rows rows = fixture.rows(0);
  for (std::int64_t t = 0; t < 2; ++t) {
    const float before = engine.evaluate(rows, 2);
    EXPECT_EQ(before, engine.step(t, 1e-3, LlamaFixture::predicted(rows), rows, 3, nullptr).loss);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, EngineBits,
                         testing::Combine(testing::Values("tied", "grouped", "packed", "sgd", "mistral",
                                                          "qwen2", "qwen3", "gpt2"),
                                          testing::Values("f32", "i14")));

}  // namespace
}  // namespace aftune::train
