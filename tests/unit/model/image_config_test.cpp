// config.json and preprocessor_config.json of classifiers of images.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "kernels/ops.h"
#include "model/architecture.h"
#include "model/config.h"
#include "model/image_processor.h"

namespace aftune::model {
namespace {

Json vit() {
  return {{"model_type", "vit"},      {"hidden_size", 24},       {"num_hidden_layers", 2}, {"patch_size", 4},
          {"num_attention_heads", 3}, {"intermediate_size", 40}, {"image_size", 12},       {"num_labels", 5}};
}

Json dinov2() {
  Json json = vit();
  json.erase("intermediate_size");
  json.update({{"model_type", "dinov2"}, {"mlp_ratio", 3}, {"layer_norm_eps", 1e-6}});
  return json;
}

Config parse(const Json& json) {
  return Config::parse(json.dump());
}

// Of a config with one member changed; null: without it.
std::string refusal(Json json, const Json& changes) {
  for (const auto& [key, value] : changes.items())
    if (value.is_null())
      json.erase(key);
    else
      json[key] = value;
  try {
    parse(json);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kEvidence);
    return std::string(e.what()).substr(std::string("config.json: ").size());
  }
  return "accepted";
}

std::vector<std::string> names(const std::vector<TensorSpec>& specs) {
  std::vector<std::string> list;
  for (const TensorSpec& spec : specs) list.push_back(spec.name);
  return list;
}

TEST(ImageConfig, IsWhatTheModelTakes) {
  const Config c = parse(vit());
  EXPECT_EQ(c.images->shape, (kernels::ImageShape{3, 12, 4}));
  EXPECT_EQ(c.images->labels, 5);
  EXPECT_EQ(c.vocab, 5);
  EXPECT_EQ(c.max_position, 10);
  EXPECT_EQ(c.head_dim, 8);
  EXPECT_FLOAT_EQ(c.norm_eps, 1e-12f);
  EXPECT_TRUE(c.qkv_bias);
  EXPECT_TRUE(c.eos.empty());
  EXPECT_EQ(c.bos, -1);
  const Config d = parse(dinov2());
  EXPECT_EQ(d.intermediate, 72);
  EXPECT_TRUE(d.mask_token);
  EXPECT_EQ(d.images->form({}).positions(), 10);
}

// The giant model's: 1536 wide, mlp_ratio 4, 4096 of SwiGLU.
TEST(ImageConfig, SwiGluIsTwoThirdsAsWide) {
  Json json = dinov2();
  json.update(
      {{"hidden_size", 1536}, {"num_attention_heads", 24}, {"mlp_ratio", 4}, {"use_swiglu_ffn", true}});
  const Config c = parse(json);
  EXPECT_EQ(c.intermediate, 4096);
  const auto specs = unit_tensors(c, 1);
  const auto found = std::find_if(specs.begin(), specs.end(),
                                  [](const auto& s) { return s.name.ends_with("mlp.weights_in.weight"); });
  ASSERT_NE(found, specs.end());
  EXPECT_EQ(found->shape, (Shape{8192, 1536}));
}

TEST(ImageConfig, Tensors) {
  const Config c = parse(vit());
  EXPECT_EQ(names(unit_tensors(c, 0)),
            (std::vector<std::string>{"vit.embeddings.cls_token", "vit.embeddings.position_embeddings",
                                      "vit.embeddings.patch_embeddings.projection.weight",
                                      "vit.embeddings.patch_embeddings.projection.bias"}));
  EXPECT_EQ(unit_tensors(c, 0)[1].shape, (Shape{1, 10, 24}));
  EXPECT_EQ(unit_tensors(c, 0)[2].shape, (Shape{24, 3, 4, 4}));
  EXPECT_EQ(unit_tensors(c, 2).size(), 16u);
  EXPECT_EQ(names(unit_tensors(c, 3)), (std::vector<std::string>{"vit.layernorm.weight", "vit.layernorm.bias",
                                                                 "classifier.weight", "classifier.bias"}));
  Json json = vit();
  json["qkv_bias"] = false;
  EXPECT_EQ(unit_tensors(parse(json), 1).size(), 13u);
  const Config d = parse(dinov2());
  EXPECT_EQ(unit_tensors(d, 0)[1].name, "dinov2.embeddings.mask_token");
  EXPECT_EQ(unit_tensors(d, 1).size(), 18u);
  EXPECT_EQ(unit_tensors(d, 3)[2].shape, (Shape{5, 48}));
}

TEST(ImageConfig, ListsTheOpsThatItNeeds) {
  const auto ops = [](const Config& c) { return kernels::op_names({}, op_uses(c)); };
  const auto has = [&](const Config& c, const char* op) {
    const auto list = ops(c);
    return std::find(list.begin(), list.end(), op) != list.end();
  };
  const Config v = parse(vit()), d = parse(dinov2());
  Json json = dinov2();
  json["use_swiglu_ffn"] = true;
  const Config s = parse(json);
  for (const char* op : {"attention-full/1", "patches/1", "layernorm/1", "bias/1"})
    for (const Config& c : {v, d, s}) EXPECT_TRUE(has(c, op)) << op;
  for (const char* op : {"rmsnorm/1", "rope/1"})
    for (const Config& c : {v, d, s}) EXPECT_FALSE(has(c, op)) << op;
  EXPECT_TRUE(has(v, "gelu/1") && has(d, "gelu/1") && !has(s, "gelu/1"));
  EXPECT_TRUE(!has(v, "swiglu/1") && !has(d, "swiglu/1") && has(s, "swiglu/1"));
  EXPECT_TRUE(!has(v, "layer-scale/1") && has(d, "layer-scale/1") && has(d, "class-mean/1"));
}

TEST(ImageConfig, ClassesByName) {
  Json json = vit();
  json.erase("num_labels");
  EXPECT_EQ(parse(json).images->labels, 2);
  json["id2label"] = {{"0", "cat"}, {"1", "dog"}, {"2", "cow"}};
  Config c = parse(json);
  EXPECT_EQ(c.images->labels, 3);
  EXPECT_EQ(c.images->label_ids.at("cow"), 2);
  json["label2id"] = {{"cat", 0}, {"dog", 1}};
  c = parse(json);
  EXPECT_EQ(c.images->label_ids.size(), 2u);
  EXPECT_EQ(refusal(json, {{"label2id", {{"cat", 1}}}}), "\"label2id\" contradicts \"id2label\"");
  EXPECT_EQ(refusal(json, {{"label2id", {{"cat", 3}}}}), "\"label2id\" has a number that is no class");
  EXPECT_EQ(refusal(json, {{"num_labels", 4}}), "\"num_labels\" contradicts \"id2label\"");
  EXPECT_EQ(refusal(json, {{"id2label", {{"0", "cat"}, {"2", "cow"}}}}),
            "\"id2label\" has 2 names, and none of class 1");
  EXPECT_EQ(refusal(json, {{"id2label", {{"0", "cat"}}}}),
            "\"id2label\" has one class; a classifier needs two");
  EXPECT_EQ(refusal(json, {{"label2id", nullptr}, {"id2label", {{"0", "cat"}, {"1", "cat"}}}}),
            "\"id2label\" has one name twice");
}

TEST(ImageConfig, WhatWouldChangeAResultIsRefused) {
  EXPECT_EQ(refusal(vit(), {{"hidden_act", "gelu_new"}}),
            "\"hidden_act\" is \"gelu_new\"; only \"gelu\" is supported");
  EXPECT_EQ(refusal(vit(), {{"image_size", {12, 12}}}), "\"image_size\" is not an integer");
  EXPECT_EQ(refusal(vit(), {{"image_size", 13}}), "\"image_size\" is 13, which patches of 4 do not fill");
  EXPECT_EQ(refusal(vit(), {{"patch_size", nullptr}}), "\"patch_size\" is missing");
  EXPECT_EQ(refusal(vit(), {{"image_size", 4096}, {"num_channels", 64}}),
            "\"image_size\" makes images too large");
  EXPECT_EQ(refusal(vit(), {{"num_attention_heads", 5}}),
            "\"num_attention_heads\" does not divide \"hidden_size\"");
  EXPECT_EQ(refusal(vit(), {{"head_dim", 4}}),
            "\"head_dim\" is not \"hidden_size\" over \"num_attention_heads\"");
  EXPECT_EQ(refusal(vit(), {{"problem_type", "regression"}}),
            "\"problem_type\" is \"regression\"; not supported");
  EXPECT_EQ(refusal(vit(), {{"quantization_config", {{"bits", 4}}}}),
            "\"quantization_config\" is set; quantised weights are not supported");
  EXPECT_EQ(refusal(dinov2(), {{"layer_norm_eps", nullptr}}), "\"layer_norm_eps\" is missing");
  EXPECT_EQ(refusal(dinov2(), {{"mlp_ratio", 1e9}}),
            "\"mlp_ratio\" makes the feed-forward part too wide, or nothing");
  EXPECT_EQ(refusal(vit(), {{"attention_probs_dropout_prob", 0.5}}), "accepted");
  EXPECT_EQ(refusal(dinov2(), {{"drop_path_rate", 0.5}}), "accepted");
}

TEST(ImageProcessor, SaysHowPixelsAreNormalised) {
  const Config v = parse(vit()), d = parse(dinov2());
  const record::Normalisation half{1.0 / 255, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};
  const record::Normalisation image_net{1.0 / 255, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
  EXPECT_EQ(parse_normalisation(std::nullopt, v), half);
  EXPECT_EQ(parse_normalisation(std::nullopt, d), image_net);
  EXPECT_EQ(parse_normalisation("{}", v), half);
  EXPECT_EQ(
      parse_normalisation(R"({"do_resize":true,"size":{"height":9},"resample":3,"do_convert_rgb":null})", d),
      image_net);
  EXPECT_EQ(parse_normalisation(R"({"image_mean":[0.1,0.2,0.3],"image_std":0.5,"rescale_factor":0.5})", v),
            (record::Normalisation{0.5, {0.1f, 0.2f, 0.3f}, {0.5f, 0.5f, 0.5f}}));
  EXPECT_EQ(parse_normalisation(R"({"do_rescale":false,"do_normalize":false})", v),
            (record::Normalisation{1.0, {0, 0, 0}, {1, 1, 1}}));
}

TEST(ImageProcessor, WhatItCannotSayIsRefused) {
  const Config c = parse(vit());
  const auto refused = [&](const char* text) {
    try {
      parse_normalisation(text, c);
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kEvidence);
      return std::string(e.what()).substr(std::string("preprocessor_config.json: ").size());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refused("[]"), "not a JSON object");
  EXPECT_EQ(refused(R"({"image_mean":[0.5,0.5]})"), "\"image_mean\" has 2 numbers for 3 channels");
  EXPECT_EQ(refused(R"({"image_std":[0.5,0.5,"a"]})"), "\"image_std\" is not a list of numbers");
  EXPECT_EQ(refused(R"({"image_std":0})"), "no constants by which pixels can be normalised");
  EXPECT_EQ(refused(R"({"rescale_factor":-1})"), "no constants by which pixels can be normalised");
  EXPECT_EQ(refused(R"({"rescale_factor":"x"})"), "\"rescale_factor\" is not a number");
  EXPECT_EQ(refused(R"({"do_rescale":1})"), "\"do_rescale\" is not true or false");
  EXPECT_EQ(refused(R"({"do_flip_channel_order":true})"),
            "\"do_flip_channel_order\" asks for a step that is not supported");
}

}  // namespace
}  // namespace aftune::model
