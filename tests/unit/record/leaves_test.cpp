#include "record/leaves.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "base/json.h"
#include "digests.h"
#include "hash/blake3.h"
#include "hash/merkle.h"

namespace aftune::record {
namespace {

using testing_support::digest;
std::vector<Digest> digests(int count) {
  std::vector<Digest> list;
  for (int i = 0; i < count; ++i) list.push_back(digest(i));
  return list;
}

// 3 layers in blocks of 2, tied: 5 units, 3 blocks, 4 stages, 3 boundaries; 5 steps in step blocks of 2.
Grid small_grid() {
  return {.layers = 3, .tied = true, .layers_per_block = 2, .steps = 5, .steps_per_block = 2};
}

Manifest small_manifest() {
  Manifest m;
  m.run = "000102030405060708090a0b0c0d0e0f";
  m.created = 1700000000;
  m.software = "aftune 0.1.0";
  m.nonce = "00ff";
  m.config = "{\n  \"model_type\": \"llama\"\n}\n";
  m.base = {DType::kBF16, digests(4), digest(9)};
  m.tokenizer = digest(1);
  m.template_ = "{{ \xc3\xa9 }}";
  m.data_root = digest(2);
  m.data_rows = 17;
  m.bos = 1;
  m.eos = 2;
  m.recipe.steps = 5;
  m.recipe.seq_len = 64;
  m.recipe.seed = 0xffffffffffffffff;
  m.recipe.lr = 1e-4;
  m.grid = small_grid();
  m.ops = {"add/1", "rmsnorm/1"};
  return m;
}

Step small_step() {
  Step s;
  s.step = 3;
  s.epoch = 1;
  s.from = 24;
  s.to = 32;
  s.tokens = 100;
  s.predicted = 92;
  s.layout = digest(0x10);
  s.token_ids = digest(0x11);
  s.labels = digest(0x12);
  s.activations = digests(3);
  s.gradients = digests(3);
  s.loss = 1.5f;
  s.lr = 0.25;
  s.sums = {1.0, 2.0, 3.0, 4.0, 6.25};
  s.norm = 4.031128874149275;
  s.clip = 0.5f;
  return s;
}

State small_state() {
  return {.state = 2, .steps_done = 4, .blocks = digests(3)};
}

Final small_final() {
  Final f;
  f.steps = 5;
  f.positions = 40;
  f.tokens = 500;
  f.predicted = 460;
  f.exported = {DType::kF32, digests(4), digest(8)};
  f.moments = digests(3);
  f.files = {{"config.json", digest(3)}, {"model.safetensors", digest(4)}};
  return f;
}

// Parsing must give back the text, and refuse it with any member gone, added, renamed or of another type.
void expect_strict(const std::string& leaf, const std::function<std::string(std::string_view)>& again) {
  EXPECT_EQ(again(leaf), leaf);
  EXPECT_THROW(again(leaf + " "), Error);
  EXPECT_THROW(again(leaf.substr(0, leaf.size() - 1)), Error);
  const Json json = Json::parse(leaf);
  const std::function<void(const Json::json_pointer&)> damage = [&](const Json::json_pointer& at) {
    for (const auto& [key, value] : json.at(at).items()) {
      Json gone = json;
      gone.at(at).erase(key);
      EXPECT_THROW(again(gone.dump()), Error) << at << "/" << key;
      Json wrong = json;
      wrong.at(at / key) = value.is_number() ? Json("1") : Json(1);
      if (!value.is_null()) {
        EXPECT_THROW(again(wrong.dump()), Error) << at << "/" << key;
      }
      if (value.is_object()) damage(at / key);
    }
    Json more = json;
    more.at(at)["zzz"] = 1;
    EXPECT_THROW(again(more.dump()), Error) << at << "/zzz";
  };
  damage(Json::json_pointer());
}

TEST(Leaves, ManifestIsItsOwnStrictInverse) {
  const auto again = [](std::string_view leaf) { return to_leaf(parse_manifest(leaf)); };
  Manifest m = small_manifest();
  expect_strict(to_leaf(m), again);
  m.eval_root = digest(7);
  m.eval_rows = 3;
  m.eval_every = 2;
  expect_strict(to_leaf(m), again);
  m.hiding_key = digest(8);
  expect_strict(to_leaf(m), again);
  EXPECT_TRUE(parse_manifest(to_leaf(m)).hiding());
}

TEST(Leaves, HidingIsStatedOrNotMentioned) {
  Manifest m = small_manifest();
  EXPECT_EQ(to_leaf(m).find("hiding"), std::string::npos);
  m.hiding_key = digest(8);
  const std::string leaf = to_leaf(m), stated = R"("hiding":true)";
  const std::size_t at = leaf.find(stated);
  ASSERT_NE(at, std::string::npos);
  for (const char* other : {R"("hiding":false)", R"("hiding":1)", R"("hiding":null)"})
    EXPECT_THROW(parse_manifest(std::string(leaf).replace(at, stated.size(), other)), Error) << other;
}

// Members of adapters are there with them and not otherwise: there is one text for one manifest.
TEST(Leaves, ManifestNamesTheMachineOfNativeNumericsAndOfNoOther) {
  Manifest m = small_manifest();
  m.profile = "native";
  m.native = NativeMachine{"NVIDIA H200", "9.0", "cuBLAS 13.1.0"};
  const std::string leaf = to_leaf(m);
  EXPECT_EQ(to_leaf(parse_manifest(leaf)), leaf);
  EXPECT_EQ(parse_manifest(leaf).native, m.native);
  const auto with = [&](const std::function<void(Json&)>& edit) {
    Json json = parse_json(leaf);
    edit(json["numerics"]);
    return canonical_json(json);
  };
  EXPECT_NO_THROW(parse_manifest(with([](Json&) {})));
  for (const char* member : {"device", "capability", "library"}) {
    EXPECT_THROW(parse_manifest(with([&](Json& n) { n.erase(member); })), Error) << member;
    for (const Json& bad : {Json(""), Json("a\nb"), Json("caf\u00e9"), Json(std::string(257, 'a')), Json(9)})
      EXPECT_THROW(parse_manifest(with([&](Json& n) { n[member] = bad; })), Error) << member << bad;
  }
  EXPECT_THROW(parse_manifest(with([](Json& n) { n["driver"] = "1"; })), Error);
  EXPECT_THROW(parse_manifest(with([](Json& n) { n["profile"] = "f32"; })), Error);
}

TEST(Leaves, AdaptersAreStatedOrNotMentioned) {
  const auto again = [](std::string_view leaf) { return to_leaf(parse_manifest(leaf)); };
  const std::string full = to_leaf(small_manifest());
  EXPECT_EQ(full.find("lora"), std::string::npos);
  EXPECT_EQ(full.find("adapter"), std::string::npos);
  Manifest m = small_manifest();
  m.recipe.method = "lora";
  m.recipe.lora_rank = 4;
  m.recipe.lora_alpha = 8;
  m.recipe.lora_dropout = 0.1;
  m.recipe.lora_targets = "q,down";
  const std::string drawn = to_leaf(m);
  EXPECT_EQ(again(drawn), drawn);
  EXPECT_TRUE(parse_manifest(drawn).drawn());
  EXPECT_EQ(parse_manifest(drawn).initial(), nullptr);
  m.adapter = {DType::kF32, digests(8), digest(3)};
  const std::string given = to_leaf(m);
  EXPECT_EQ(again(given), given);
  EXPECT_FALSE(parse_manifest(given).drawn());
  EXPECT_EQ(parse_manifest(given).initial()->digests, digests(8));
  const auto with = [](Json json, const std::function<void(Json&)>& change) {
    change(json);
    return canonical_json(json);
  };
  const auto refused = [&](const std::string& leaf) { EXPECT_THROW(parse_manifest(leaf), Error) << leaf; };
  for (const char* key : {"lora_alpha", "lora_dropout", "lora_rank", "lora_targets"}) {
    refused(with(Json::parse(drawn), [&](Json& j) { j["recipe"].erase(key); }));
    refused(with(Json::parse(full), [&](Json& j) { j["recipe"][key] = Json::parse(drawn)["recipe"][key]; }));
  }
  refused(with(Json::parse(full), [&](Json& j) { j["adapter"] = Json::parse(given)["adapter"]; }));
  refused(with(Json::parse(drawn), [](Json& j) { j["recipe"]["init"] = true; }));
  for (const char* targets : {"", "down,q", "q,q", "lm_head", "q,"})
    refused(with(Json::parse(drawn), [&](Json& j) { j["recipe"]["lora_targets"] = targets; }));
  for (const double dropout : {1.0, -0.5, HUGE_VAL})
    refused(with(Json::parse(drawn), [&](Json& j) { j["recipe"]["lora_dropout"] = double_hex(dropout); }));
  refused(with(Json::parse(drawn), [](Json& j) { j["recipe"]["lora_rank"] = 0; }));
}

TEST(Leaves, StepIsItsOwnStrictInverse) {
  const auto again = [](std::string_view leaf) { return to_leaf(parse_step(leaf, small_grid())); };
  Step s = small_step();
  expect_strict(to_leaf(s), again);
  s.eval_loss = 2.5f;
  expect_strict(to_leaf(s), again);
}

TEST(Leaves, StateIsItsOwnStrictInverse) {
  expect_strict(to_leaf(small_state()),
                [](std::string_view leaf) { return to_leaf(parse_state(leaf, small_grid())); });
}

TEST(Leaves, FinalIsItsOwnStrictInverse) {
  const auto again = [](std::string_view leaf) { return to_leaf(parse_final(leaf, small_grid(), 4)); };
  const std::string leaf = to_leaf(small_final());
  EXPECT_EQ(again(leaf), leaf);
  EXPECT_THROW(parse_final(leaf, small_grid(), 5), Error);
}

// The exact bytes are a format: they may change only with the version in them.
TEST(Leaves, ExactBytesOfAState) {
  const std::string zeros(64, '0');
  State s{.state = 0, .steps_done = 0, .blocks = {Digest{}, Digest{}, Digest{}}};
  EXPECT_EQ(to_leaf(s), R"({"blocks":[")" + zeros + R"(",")" + zeros + R"(",")" + zeros +
                            R"("],"kind":"state","state":0,"steps_done":0,"version":1})");
}

TEST(Leaves, ExactBytesOfAStep) {
  Grid grid{.layers = 1, .tied = false, .layers_per_block = 1, .steps = 1, .steps_per_block = 1};
  Step s;
  s.to = 1;
  s.tokens = 2;
  s.predicted = 1;
  s.activations.resize(2);
  s.gradients.resize(2);
  s.sums = {0.0, 1.0, -0.0};
  s.loss = 1.0f;
  s.lr = 1e-4;
  const std::string zeros = '"' + std::string(64, '0') + '"';
  EXPECT_EQ(to_leaf(s),
            R"({"activations":[)" + zeros + "," + zeros +
                R"(],"clip":"3f800000","epoch":0,"eval_loss":null,"from":0,"gradients":[)" + zeros + "," +
                zeros + R"(],"kind":"step","labels":)" + zeros + R"(,"layout":)" + zeros +
                R"(,"loss":"3f800000","lr":"3f1a36e2eb1c432d","norm":"0000000000000000",)" +
                R"("predicted":1,"step":0,"sums":["0000000000000000","3ff0000000000000",)" +
                R"("8000000000000000"],"to":1,"token_ids":)" + zeros + R"(,"tokens":2,"version":1})");
  EXPECT_EQ(to_leaf(parse_step(to_leaf(s), grid)), to_leaf(s));
}

TEST(Leaves, ListsHaveTheLengthThatTheGridGives) {
  Step s = small_step();
  s.activations.pop_back();
  EXPECT_THROW(parse_step(to_leaf(s), small_grid()), Error);
  s = small_step();
  s.sums.push_back(0);
  EXPECT_THROW(parse_step(to_leaf(s), small_grid()), Error);
  State state = small_state();
  state.blocks.push_back(digest(1));
  EXPECT_THROW(parse_state(to_leaf(state), small_grid()), Error);
  Final f = small_final();
  f.moments.pop_back();
  EXPECT_THROW(parse_final(to_leaf(f), small_grid(), 4), Error);
}

TEST(Leaves, NumbersThatNoRunHasAreRefused) {
  const auto step_with = [](const std::function<void(Step&)>& change) {
    Step s = small_step();
    change(s);
    parse_step(to_leaf(s), small_grid());
  };
  EXPECT_THROW(step_with([](Step& s) { s.step = 5; }), Error);
  EXPECT_THROW(step_with([](Step& s) { s.to = s.from; }), Error);
  EXPECT_THROW(step_with([](Step& s) { s.predicted = s.tokens + 1; }), Error);
  State state = small_state();
  state.steps_done = 5;
  EXPECT_THROW(parse_state(to_leaf(state), small_grid()), Error);
  state = {.state = 3, .steps_done = 5, .blocks = digests(3)};
  EXPECT_EQ(parse_state(to_leaf(state), small_grid()).steps_done, 5);
  state.state = 4;
  EXPECT_THROW(parse_state(to_leaf(state), small_grid()), Error);
}

TEST(Leaves, KindAndVersionAreChecked) {
  EXPECT_THROW(parse_step(to_leaf(small_state()), small_grid()), Error);
  Json json = Json::parse(to_leaf(small_state()));
  json["version"] = 2;
  EXPECT_THROW(parse_state(json.dump(), small_grid()), Error);
}

TEST(Leaves, AFileNameThatLeavesTheFolderIsRefused) {
  for (const char* bad : {"../x", "/x", "a/b", ".hidden", "", "a b", "x\n"}) {
    Json json = Json::parse(to_leaf(small_final()));
    json["files"][bad] = to_hex(digest(1));
    EXPECT_THROW(parse_final(json.dump(), small_grid(), 4), Error) << bad;
  }
}

TEST(Leaves, ALeafOf64KiBIsRefusedWhenItIsMade) {
  Manifest m = small_manifest();
  m.template_ = std::string(65536, 'x');
  try {
    to_leaf(m);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kUsage);
    EXPECT_NE(std::string(e.what()).find("65535"), std::string::npos) << e.what();
  }
  m.template_ = "\xff";
  EXPECT_THROW(to_leaf(m), Error);
}

TEST(Leaves, OpsMustBeSortedAndUnique) {
  Manifest m = small_manifest();
  m.ops = {"b/1", "a/1"};
  EXPECT_THROW(parse_manifest(to_leaf(m)), Error);
  m.ops = {"a/1", "a/1"};
  EXPECT_THROW(parse_manifest(to_leaf(m)), Error);
}

TEST(Recipe, RefusesValuesThatNoRunCanHave) {
  const Recipe good = small_manifest().recipe;
  EXPECT_EQ(recipe_from_json(to_json(good)), good);
  const auto refused = [&](const std::function<void(Recipe&)>& change) {
    Recipe r = good;
    change(r);
    EXPECT_THROW(recipe_from_json(to_json(r)), Error);
  };
  refused([](Recipe& r) { r.lr = NAN; });
  refused([](Recipe& r) { r.lr = INFINITY; });
  refused([](Recipe& r) { r.lr = -1e-4; });
  refused([](Recipe& r) { r.weight_decay = -0.0; });
  refused([](Recipe& r) { r.beta1 = 1.0; });
  refused([](Recipe& r) { r.steps = 0; });
  refused([](Recipe& r) { r.batch_size = 0; });
  refused([](Recipe& r) { r.grad_shards = 2; });
  refused([](Recipe& r) { r.optimizer = "lion"; });
  refused([](Recipe& r) { r.schedule = "warm"; });
  refused([](Recipe& r) { r.method = "lora"; });
}

// Values from an independent Python program (json, blake3, hashlib); see docs/trace.md, "Digests".
TEST(Digests, AgreeWithAnIndependentProgram) {
  const std::vector<TensorSpec> specs = {{"b", DType::kF32, {2, 3}}, {"a", DType::kF32, {}}};
  const std::vector<Digest> list = {digest(1), digest(2)};
  EXPECT_EQ(to_hex(list_digest(specs, list)),
            "92c4362fb3c2843f8ab1bccf8d8407265e5ee3809afca68a9162fa3c89f87da5");
  EXPECT_EQ(to_hex(tensor_root(specs, list)),
            "77dc4d93ab00a4e71c449b1e5e74b5e672f8139f989df9c70a1ea9747cf27cda");
  EXPECT_EQ(to_hex(block_digest(digest(1), digest(2))),
            "6c8ff4bfb33c94399203a956c6b91aa79e36112e407c69a80e9964e4370cdff0");
}

// The worked example of docs/trace.md.
TEST(Digests, TheExampleOfTheDocument) {
  const float values[2] = {1.0f, -2.0f};
  const Digest w = hash::blake3(std::as_bytes(std::span(values)));
  const Digest zero = hash::blake3(Bytes(8));
  const BlockState block{
      .parameter_specs = {{"w", DType::kF32, {2}}},
      .parameters = {w},
      .moment_specs = {{"w.exp_avg", DType::kF32, {2}}, {"w.exp_avg_sq", DType::kF32, {2}}},
      .moments = {zero, zero}};
  EXPECT_EQ(to_hex(w), "54847fa2028a3457068a78ba8e6a086cccf672def025d7e4cb2761b538edbf3f");
  EXPECT_EQ(to_hex(list_digest(block.parameter_specs, block.parameters)),
            "8105a693754f238d4eb180d63823b313a481763e9c2843bcbb940f9dc746ee51");
  EXPECT_EQ(to_hex(tensor_root(block.parameter_specs, block.parameters)),
            "40662137add59db4c409e614c2cbc922c2622b7ee8608f4bf0e0ad3ba0264f9e");
  EXPECT_EQ(to_hex(list_digest(block.moment_specs, block.moments)),
            "fbf261bc2da2601dcc2b057fffd38b4bd90b53b3d7b776e3c921964b640a2774");
  EXPECT_EQ(to_hex(block_digest(block)), "e15a08423cf1b45f30ce40ff74786fe88a35a798d38da03786db6f147e9f5e71");
  const State state{.state = 0, .steps_done = 0, .blocks = {block_digest(block)}};
  EXPECT_EQ(to_hex(hash::leaf_hash(to_leaf(state))),
            "33f0d96189a6eb9f0f6aa30e3ca26e43c6417843a5668220834b915df0c75b28");
}

TEST(Digests, TheRootDoesNotDependOnOrderButTheListDoes) {
  const std::vector<TensorSpec> specs = {{"b", DType::kF32, {2, 3}}, {"a", DType::kF32, {}}};
  const std::vector<TensorSpec> swapped = {specs[1], specs[0]};
  EXPECT_EQ(tensor_root(specs, {digest(1), digest(2)}), tensor_root(swapped, {digest(2), digest(1)}));
  EXPECT_NE(tensor_root(specs, {digest(1), digest(2)}), tensor_root(specs, {digest(2), digest(1)}));
  EXPECT_NE(list_digest(specs, {digest(1), digest(2)}), list_digest(swapped, {digest(2), digest(1)}));
}

TEST(Leaves, AManifestOfImagesSaysHowTheyAreNormalisedAndHasNoTokenizer) {
  Manifest m = small_manifest();
  m.tokenizer = {};
  m.images = Normalisation{1.0 / 255, {0.5f, 0.485f, -0.25f}, {0.5f, 0.229f, 0.125f}};
  const std::string leaf = to_leaf(m);
  EXPECT_NE(leaf.find(R"("images":{"mean":["3f000000","3ef851ec","be800000"],"rescale":"3f70101010101010",)"
                      R"("std":["3f000000","3e6a7efa","3e000000"]})"),
            std::string::npos);
  EXPECT_EQ(leaf.find("tokenizer"), std::string::npos);
  EXPECT_EQ(parse_manifest(leaf).images, m.images);
  EXPECT_EQ(to_leaf(parse_manifest(leaf)), leaf);

  const auto refused = [&](std::string_view from, std::string_view to) {
    std::string text = leaf;
    text.replace(text.find(from), from.size(), to);
    try {
      parse_manifest(text);
    } catch (const Error& e) {
      return e.fault() == Fault::kEvidence;
    }
    return false;
  };
  EXPECT_TRUE(refused("3f70101010101010", "0000000000000000"));  // rescale 0
  EXPECT_TRUE(refused("3f70101010101010", "7ff0000000000000"));
  EXPECT_TRUE(refused("3e6a7efa", "00000000"));  // std 0
  EXPECT_TRUE(refused("3e6a7efa", "be6a7efa"));
  EXPECT_TRUE(refused("be800000", "7fc00000"));
  EXPECT_TRUE(refused("\"be800000\"", "7"));
  EXPECT_TRUE(refused(",\"be800000\"", ""));  // two means, three deviations
  EXPECT_TRUE(refused("\"rescale\"", "\"resize\""));
  EXPECT_TRUE(refused("\"template\":\"", cat("\"template\":\"\",\"tokenizer\":\"", std::string(64, '0'))));
}

}  // namespace
}  // namespace aftune::record
