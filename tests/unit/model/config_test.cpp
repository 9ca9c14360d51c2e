#include "model/config.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"

namespace aftune::model {
namespace {

Json tiny() {
  return Json::parse(R"({"model_type":"llama","vocab_size":40,"hidden_size":16,"intermediate_size":36,
    "num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2,"max_position_embeddings":64})");
}

Json with(const std::string& members) {
  Json json = tiny();
  json.update(Json::parse(members));
  return json;
}

Config parse(const std::string& members) {
  return Config::parse(with(members).dump());
}

void expect_refused(const std::string& members, const std::string& part) {
  try {
    parse(members);
    FAIL() << members << " was accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kEvidence) << members;
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << members << ": " << e.what();
  }
}

TEST(Config, MissingMembersHaveTheDefaultsOfTheClass) {
  const Config c = Config::parse(R"({"model_type":"llama"})");
  EXPECT_EQ(c.vocab, 32000);
  EXPECT_EQ(c.hidden, 4096);
  EXPECT_EQ(c.intermediate, 11008);
  EXPECT_EQ(c.layers, 32);
  EXPECT_EQ(c.kv_heads, 32);
  EXPECT_EQ(c.head_dim, 128);
  EXPECT_EQ(c.max_position, 2048);
  EXPECT_EQ(c.norm_eps, 1e-6f);
  EXPECT_EQ(c.rope_theta, 10000.0);
  EXPECT_FALSE(c.tied);
  EXPECT_FALSE(c.rope_scaling.has_value());
  EXPECT_EQ(c.bos, -1);
  EXPECT_TRUE(c.eos.empty());
}

TEST(Config, NullIsAsGoodAsAbsent) {
  const Config c =
      parse(R"({"head_dim":null,"num_key_value_heads":null,"rope_scaling":null,"sliding_window":null,
                             "eos_token_id":null,"bos_token_id":null})");
  EXPECT_EQ(c.kv_heads, 4);
  EXPECT_EQ(c.head_dim, 4);
}

TEST(Config, MembersThatDecideNothingPass) {
  parse(R"({"architectures":["LlamaForCausalLM"],"torch_dtype":"bfloat16","dtype":"float32","use_cache":true,
            "transformers_version":"4.44.0","attention_dropout":0.1,"pretraining_tp":1,"pad_token_id":0,
            "layer_types":["full_attention","full_attention"],"partial_rotary_factor":1.0})");
}

TEST(Config, BothSpellingsOfRopeAreOne) {
  const Config old = parse(R"({"rope_theta":500000.0,"rope_scaling":{"type":"llama3","factor":8.0,
    "low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":32}})");
  const Config now = parse(R"({"rope_parameters":{"rope_type":"llama3","rope_theta":500000.0,"factor":8.0,
    "low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":32}})");
  for (const Config& c : {old, now}) {
    EXPECT_EQ(c.rope_theta, 500000.0);
    ASSERT_TRUE(c.rope_scaling.has_value());
    EXPECT_EQ(c.rope_scaling->factor, 8.0);
    EXPECT_EQ(c.rope_scaling->low_freq_factor, 1.0);
    EXPECT_EQ(c.rope_scaling->high_freq_factor, 4.0);
    EXPECT_EQ(c.rope_scaling->original_max_position, 32);
  }
  const Config plain = parse(R"({"rope_parameters":{"rope_type":"default","rope_theta":7.5}})");
  EXPECT_EQ(plain.rope_theta, 7.5);
  EXPECT_FALSE(plain.rope_scaling.has_value());
}

TEST(Config, OriginalLengthDefaultsToTheModels) {
  const Config c = parse(R"({"rope_parameters":{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,
                             "high_freq_factor":4.0}})");
  EXPECT_EQ(c.rope_scaling->original_max_position, 64);
}

TEST(Config, EosMayBeAList) {
  EXPECT_EQ(parse(R"({"eos_token_id":2})").eos, std::vector<std::int32_t>{2});
  EXPECT_EQ(parse(R"({"eos_token_id":[7,8]})").eos, (std::vector<std::int32_t>{7, 8}));
}

TEST(Config, RefusesWhatWouldChangeTheArithmetic) {
  expect_refused(R"({"model_type":"gemma2"})", "model_type");
  expect_refused(R"({"hidden_act":"gelu"})", "hidden_act");
  expect_refused(R"({"attention_bias":true})", "attention_bias");
  expect_refused(R"({"mlp_bias":true})", "mlp_bias");
  expect_refused(R"({"sliding_window":4096})", "sliding_window");
  expect_refused(R"({"quantization_config":{}})", "quantization_config");
  expect_refused(R"({"pretraining_tp":2})", "pretraining_tp");
  expect_refused(R"({"layer_types":["full_attention","sliding_attention"]})", "layer_types");
  expect_refused(R"({"partial_rotary_factor":0.5})", "partial_rotary_factor");
  expect_refused(R"({"rope_parameters":{"rope_type":"default","partial_rotary_factor":0.5}})",
                 "partial_rotary_factor");
  expect_refused(R"({"rope_scaling":{"type":"linear","factor":2.0}})", "rope_type");
  expect_refused(R"({"rope_parameters":{"full_attention":{"rope_type":"default"}}})", "full_attention");
}

TEST(Config, FamiliesHaveTheDefaultsOfTheirClasses) {
  const Config mistral = Config::parse(R"({"model_type":"mistral","sliding_window":null})");
  EXPECT_EQ(mistral.intermediate, 14336);
  EXPECT_EQ(mistral.kv_heads, 8);
  EXPECT_EQ(mistral.head_dim, 128);
  EXPECT_EQ(mistral.max_position, 131072);
  const Config qwen2 = Config::parse(R"({"model_type":"qwen2","num_key_value_heads":null,
                                         "num_attention_heads":16})");
  EXPECT_EQ(qwen2.vocab, 151936);
  EXPECT_EQ(qwen2.intermediate, 22016);
  EXPECT_EQ(qwen2.kv_heads, 16);
  EXPECT_EQ(qwen2.head_dim, 256);
  EXPECT_EQ(qwen2.max_position, 32768);
  const Config qwen3 = Config::parse(R"({"model_type":"qwen3","hidden_size":1024})");
  EXPECT_EQ(qwen3.kv_heads, 32);
  EXPECT_EQ(qwen3.head_dim, 128);
  for (const Config& c : {mistral, qwen2, qwen3}) {
    EXPECT_EQ(c.qkv_bias, c.model_type == "qwen2");
    EXPECT_EQ(c.head_norms, c.model_type == "qwen3");
    EXPECT_EQ(op_uses(c).biases, c.qkv_bias);
  }
}

TEST(Config, AWindowIsRefusedAsEachFamilyStatesIt) {
  expect_refused(R"({"model_type":"mistral"})", "sliding_window");  // its class takes 4096
  expect_refused(R"({"model_type":"mistral","sliding_window":4096})", "sliding_window");
  for (const char* type : {"qwen2", "qwen3"}) {
    expect_refused(cat(R"({"use_sliding_window":true,"model_type":")", type, "\"}"), "use_sliding_window");
    expect_refused(cat(R"({"attention_bias":true,"model_type":")", type, "\"}"), "attention_bias");
    parse(cat(R"({"use_sliding_window":false,"sliding_window":4096,"max_window_layers":1,"model_type":")",
              type, "\"}"));
  }
}

TEST(Config, RefusesContradictions) {
  expect_refused(R"({"rope_theta":5.0,"rope_parameters":{"rope_type":"default","rope_theta":6.0}})",
                 "rope_theta");
  expect_refused(R"({"rope_scaling":{"rope_type":"default"},"rope_parameters":{"rope_type":"llama3"}})",
                 "contradicts");
  expect_refused(R"({"original_max_position_embeddings":9,"rope_scaling":{"rope_type":"llama3","factor":2.0,
    "low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8}})",
                 "original_max_position_embeddings");
  expect_refused(R"({"rope_scaling":{"rope_type":"llama3","factor":2.0,"low_freq_factor":1.0}})",
                 "high_freq_factor");
  expect_refused(R"({"rope_scaling":{"rope_type":"llama3","factor":2.0,"low_freq_factor":4.0,
                     "high_freq_factor":4.0}})",
                 "high_freq_factor");
}

TEST(Config, RefusesShapesThatDoNotFit) {
  expect_refused(R"({"num_attention_heads":3})", "num_attention_heads");
  expect_refused(R"({"num_key_value_heads":3})", "num_key_value_heads");
  expect_refused(R"({"head_dim":5})", "head_dim");
  expect_refused(R"({"num_attention_heads":4096,"num_key_value_heads":4096,"head_dim":64})", "head_dim");
}

TEST(Config, RefusesSizesThatNoModelHas) {
  for (const char* key :
       {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "head_dim", "max_position_embeddings"})
    for (const char* value : {"0", "-1", "4294967296", "9223372036854775807", "18446744073709551615", "1e3",
                              "\"8\"", "true", "[8]"})
      expect_refused(cat("{\"", key, "\":", value, '}'), key);
  for (const char* key : {"rms_norm_eps", "rope_theta"})
    for (const char* value : {"0", "-1.0", "\"x\""}) expect_refused(cat("{\"", key, "\":", value, '}'), key);
  for (const char* value : {"1e-60", "1e60"})
    expect_refused(cat("{\"rms_norm_eps\":", value, '}'), "rms_norm_eps");
  for (const char* value : {"-1", "16777216", "18446744073709551615", "[1,-2]", "[[1]]", "1.5"})
    expect_refused(cat("{\"eos_token_id\":", value, '}'), "eos_token_id");
}

TEST(Config, RefusesWhatIsNoObject) {
  for (const char* text : {"", "[]", "null", "{", "{\"model_type\":\"llama\",\"model_type\":\"llama\"}"})
    EXPECT_THROW(Config::parse(text), Error) << text;
}

TEST(Config, TensorsFollowFromIt) {
  const Config untied = parse("{}"), tied = parse(R"({"tie_word_embeddings":true,"head_dim":6})");
  EXPECT_EQ(all_tensors(untied).size(), 1u + 2 * 9 + 2);
  EXPECT_EQ(all_tensors(tied).size(), 1u + 2 * 9 + 1);
  EXPECT_EQ(describe(unit_tensors(untied, 0)[0]), "model.embed_tokens.weight F32 [40, 16]");
  EXPECT_EQ(describe(unit_tensors(tied, 1)[1]), "model.layers.0.self_attn.q_proj.weight F32 [24, 16]");
  EXPECT_EQ(describe(unit_tensors(tied, 2)[2]), "model.layers.1.self_attn.k_proj.weight F32 [12, 16]");
  EXPECT_EQ(describe(unit_tensors(tied, 2)[8]), "model.layers.1.mlp.down_proj.weight F32 [16, 36]");
  EXPECT_EQ(describe(unit_tensors(untied, 3)[1]), "lm_head.weight F32 [40, 16]");
}

TEST(Config, FamiliesAddTensorsToALayer) {
  const Config qwen2 = parse(R"({"model_type":"qwen2"})"),
               qwen3 = parse(R"({"model_type":"qwen3","head_dim":6})");
  ASSERT_EQ(unit_tensors(qwen2, 1).size(), 12u);
  EXPECT_EQ(describe(unit_tensors(qwen2, 1)[2]), "model.layers.0.self_attn.q_proj.bias F32 [16]");
  EXPECT_EQ(describe(unit_tensors(qwen2, 1)[4]), "model.layers.0.self_attn.k_proj.bias F32 [8]");
  EXPECT_EQ(describe(unit_tensors(qwen2, 1)[6]), "model.layers.0.self_attn.v_proj.bias F32 [8]");
  ASSERT_EQ(unit_tensors(qwen3, 2).size(), 11u);
  EXPECT_EQ(describe(unit_tensors(qwen3, 2)[5]), "model.layers.1.self_attn.q_norm.weight F32 [6]");
  EXPECT_EQ(describe(unit_tensors(qwen3, 2)[6]), "model.layers.1.self_attn.k_norm.weight F32 [6]");
  EXPECT_EQ(unit_tensors(parse(R"({"model_type":"mistral","sliding_window":null})"), 1).size(), 9u);
}

TEST(Config, EosIdsAreThoseOfBothFiles) {
  using Ids = std::set<std::int32_t>;
  const Config config = parse(R"({"eos_token_id":[7,8]})");
  EXPECT_EQ(eos_ids(config, ""), (Ids{7, 8}));
  EXPECT_EQ(eos_ids(config, "{}"), (Ids{7, 8}));
  EXPECT_EQ(eos_ids(config, R"({"eos_token_id":null})"), (Ids{7, 8}));
  EXPECT_EQ(eos_ids(config, R"({"eos_token_id":9,"top_k":3})"), (Ids{7, 8, 9}));
  EXPECT_EQ(eos_ids(parse("{}"), R"({"eos_token_id":[8,9]})"), (Ids{8, 9}));
  for (const char* bad : {"[]", "{", R"({"eos_token_id":-1})", R"({"eos_token_id":"x"})"}) {
    try {
      eos_ids(config, bad);
      FAIL() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kEvidence);
      EXPECT_TRUE(std::string(e.what()).starts_with("generation_config.json: ")) << e.what();
    }
  }
}

}  // namespace
}  // namespace aftune::model
