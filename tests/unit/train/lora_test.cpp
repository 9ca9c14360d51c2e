// Training adapters: what must not change a bit of a step, what stays as it is, and the folders of peft.
#include <gtest/gtest.h>

#include "hash/blake3.h"
#include "llama_fixture.h"
#include "model/adapter.h"
#include "scratch.h"
#include "train/adapter_folder.h"

namespace aftune::train {
namespace {

using testing_support::Scratch;

record::Recipe lora_recipe(const LlamaFixture& fixture, double dropout) {
  record::Recipe recipe = fixture.recipe;
  recipe.method = "lora";
  recipe.lora_rank = 3;
  recipe.lora_alpha = 5;
  recipe.lora_targets = "q,k,v,o,gate,up,down";
  recipe.lora_dropout = dropout;
  recipe.seed = 11;
  return recipe;
}

/// A fixture's initial weights as a file to stand beside: rounded to `values`, and stored as `stored`.
model::Checkpoint base_of(const LlamaFixture& fixture, const fs::path& file, DType values = DType::kF32,
                          DType stored = DType::kF32) {
  std::vector<TensorSpec> specs = model::all_tensors(fixture.config);
  std::map<std::string, Bytes> bytes;
  for (TensorSpec& spec : specs) {
    bytes[spec.name] = narrow(stored, widen(values, narrow(values, fixture.tensor("w0/" + spec.name))));
    spec.dtype = stored;
  }
  model::write_safetensors(file, specs,
                           [&](const TensorSpec& spec) { return ByteView(bytes.at(spec.name)); });
  return model::Checkpoint::open_file(file);
}

struct Way {
  int threads = 1;
  std::int64_t micro_batch = 3;
  bool recompute = false;
  int layers_per_block = 1;
};

class LoraEngineBits : public testing::TestWithParam<const char*> {
 protected:
  LoraEngineBits() : scratch_("lora"), base_(base_of(fixture, scratch_ / "base.safetensors")) {}

  model::EngineOptions options(ThreadPool& pool, const Way& way, double dropout,
                               const model::Checkpoint& base) const {
    model::EngineOptions o = fixture.options(pool, way.layers_per_block, way.recompute);
    o.recipe = lora_recipe(fixture, dropout);
    o.profile = *kernels::profile_from_name(GetParam());
    o.base = &base;
    return o;
  }

  /// One digest of all losses, norms and adapters of three steps.
  Digest bits(const Way& way, double dropout = 0.25) const { return bits(way, dropout, base_); }
  Digest bits(const Way& way, double dropout, const model::Checkpoint& base) const {
    ThreadPool pool(way.threads);
    Engine engine(options(pool, way, dropout, base));
    for (const auto& block : engine.blocks()) model::init_parameters(*block, engine.options());
    hash::Blake3 all;
    for (std::int64_t t = 0; t < 3; ++t) {
      const data::Rows rows = fixture.rows(t);
      const StepResult r =
          engine.step(t, 1e-2, LlamaFixture::predicted(rows), rows, way.micro_batch, nullptr);
      all.update(float_hex(r.loss)).update(double_hex(r.norm)).update(float_hex(r.clip));
    }
    for (const auto& block : engine.blocks())
      for (const model::Parameter& p : block->parameters()) {
        all.update(p.value.bytes());
        for (const Buffer& m : p.moments) all.update(m.bytes());
      }
    return all.finish();
  }

  const LlamaFixture fixture{"grouped"};

 private:
  Scratch scratch_;

 protected:
  const model::Checkpoint base_;
};

const std::map<std::string, std::string> kKnown = {
    {"f32", "dfcef51d7e521b89342fc010e26b166244ce5fea261e8227bc2c1e1c5a743259"},
    {"i14", "4dc207cf4b4209aa18fc5d0729e0d0a96cdb9e72979dfb111fdafeba84120921"}};

// A frozen matrix of 16 bits is kept so and widened for each product: of the same values the same bits.
TEST_P(LoraEngineBits, DoNotDependOnHowTheBaseIsStored) {
  const Scratch scratch("lora-base");
  for (const DType half : {DType::kBF16, DType::kF16}) {
    const model::Checkpoint wide = base_of(fixture, scratch / cat(name(half), ".wide"), half);
    const model::Checkpoint narrow = base_of(fixture, scratch / cat(name(half), ".narrow"), half, half);
    const Digest expected = bits({}, 0.25, wide);
    EXPECT_NE(expected, bits({}));
    for (const Way& way :
         {Way{}, Way{.threads = 3, .micro_batch = 1, .recompute = true, .layers_per_block = 2}})
      EXPECT_EQ(bits(way, 0.25, narrow), expected) << name(half);
  }
}

TEST_P(LoraEngineBits, FrozenMatricesStayAsTheyAre) {
  for (const TensorSpec& spec : model::all_tensors(fixture.config))
    EXPECT_EQ(model::stays_narrow(fixture.config, spec), spec.shape.size() == 2) << spec.name;
}

TEST_P(LoraEngineBits, DependOnNothingButTheInputs) {
  const Digest expected = bits({});
  EXPECT_EQ(to_hex(expected), kKnown.at(GetParam()));
  EXPECT_EQ(bits({.threads = 3}), expected);
  EXPECT_EQ(bits({.micro_batch = 1}), expected);
  EXPECT_EQ(bits({.micro_batch = 2}), expected);
  EXPECT_EQ(bits({.recompute = true}), expected);
  EXPECT_EQ(bits({.threads = 2, .micro_batch = 1, .recompute = true, .layers_per_block = 2}), expected);
  EXPECT_NE(bits({}, 0.0), expected);
}

// At the beginning B is zero, so nothing is added; and what is evaluated is never dropped.
TEST_P(LoraEngineBits, BeginsAsTheModelAndEvaluatesWithoutDropping) {
  ThreadPool pool(2);
  model::EngineOptions full = fixture.options(pool);
  full.profile = *kernels::profile_from_name(GetParam());
  Engine model(full), adapted(options(pool, {}, 0.25, base_));
  fixture.load(model);
  for (const auto& block : adapted.blocks()) model::init_parameters(*block, adapted.options());
  const data::Rows rows = fixture.rows(0);
  EXPECT_EQ(adapted.evaluate(rows, 2), model.evaluate(rows, 2));
  const StepResult step = adapted.step(0, 1e-2, LlamaFixture::predicted(rows), rows, 3, nullptr);
  EXPECT_EQ(step.loss, model.evaluate(rows, 2));
  EXPECT_EQ(step.unit_sums.front(), 0.0);
  EXPECT_EQ(step.unit_sums.back(), 0.0);
  EXPECT_GT(step.norm, 0.0);
  EXPECT_NE(adapted.evaluate(rows, 2), step.loss);
  EXPECT_EQ(adapted.evaluate(rows, 1), adapted.evaluate(rows, 3));
}

INSTANTIATE_TEST_SUITE_P(Profiles, LoraEngineBits, testing::Values("f32", "i14"));

TEST(Adapters, TensorsAreNamedAsPeftNamesThem) {
  const LlamaFixture fixture("grouped");
  record::Recipe recipe = lora_recipe(fixture, 0);
  recipe.lora_targets = "v,down";
  EXPECT_TRUE(model::adapter_tensors(fixture.config, recipe, 0).empty());
  EXPECT_TRUE(model::adapter_tensors(fixture.config, recipe, fixture.config.layers + 1).empty());
  const auto list = model::adapter_tensors(fixture.config, recipe, 2);
  ASSERT_EQ(list.size(), 4u);
  EXPECT_EQ(describe(list[0]), "base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight F32 [3, 16]");
  EXPECT_EQ(describe(list[1]), "base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight F32 [12, 3]");
  EXPECT_EQ(describe(list[3]), "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight F32 [16, 3]");
  for (const TensorSpec& spec : list) {
    const auto place = model::place_of_adapter(fixture.config, spec.name);
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(place->layer, 1);
  }
  EXPECT_EQ(model::place_of_adapter(fixture.config, list[3].name)->projection, model::Projection::kDown);
  EXPECT_EQ(model::adapted_weight(fixture.config, list[0].name), "model.layers.1.self_attn.v_proj.weight");
  EXPECT_EQ(model::adapted_weight(fixture.config, "model.layers.1.self_attn.v_proj.weight"), "");
}

TEST(Adapters, TargetsHaveOneText) {
  EXPECT_EQ(record::lora_targets_text(record::lora_targets("down,q")), "q,down");
  for (const char* bad : {"", "q,", "q,q", "lm_head", "q k"})
    EXPECT_THROW(record::lora_targets(bad), Error) << bad;
}

TEST(AdapterConfig, WhatIsWrittenIsRead) {
  record::Recipe recipe, read;
  recipe.method = "lora";
  recipe.lora_rank = 4;
  recipe.lora_alpha = 2.5;
  recipe.lora_targets = "q,o,up";
  recipe.lora_dropout = 0.1;
  const model::Config config;
  read_adapter_config(adapter_config(config, recipe), config, read);
  EXPECT_EQ(read.lora_rank, 4);
  EXPECT_EQ(read.lora_alpha, 2.5);
  EXPECT_EQ(read.lora_targets, "q,o,up");
}

TEST(AdapterConfig, RefusesWhatWouldChangeTheArithmetic) {
  const Json plain = {{"peft_type", "LORA"}, {"r", 2}, {"lora_alpha", 4}, {"target_modules", {"q_proj"}}};
  const auto refused = [&](const char* key, const Json& value) {
    Json json = plain;
    json[key] = value;
    record::Recipe recipe;
    try {
      read_adapter_config(json.dump(), {}, recipe);
      ADD_FAILURE() << key << " was accepted";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(key), std::string::npos) << e.what();
    }
  };
  record::Recipe recipe;
  read_adapter_config(plain.dump(), {}, recipe);
  EXPECT_EQ(recipe.lora_targets, "q");
  refused("peft_type", "LOHA");
  refused("r", 0);
  refused("r", "8");
  refused("lora_alpha", 0);
  refused("target_modules", "all-linear");
  refused("target_modules", Json::array());
  refused("target_modules", {"lm_head"});
  refused("bias", "all");
  for (const char* key : {"use_dora", "use_rslora", "fan_in_fan_out", "lora_bias"}) refused(key, true);
  refused("rank_pattern", {{"q_proj", 4}});
  refused("alpha_pattern", {{"q_proj", 4}});
  refused("modules_to_save", {"lm_head"});
  refused("layers_to_transform", {0});
  refused("init_lora_weights", "pissa");
}

}  // namespace
}  // namespace aftune::train
