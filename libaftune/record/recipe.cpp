#include "record/recipe.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <iterator>
#include <string_view>

#include "base/error.h"

namespace aftune::record {
namespace {

// Bounds far above any real run, so that products of two of these fit 63 bits.
constexpr std::int64_t kMaxSteps = std::int64_t{1} << 40;
constexpr std::int64_t kMaxBatch = std::int64_t{1} << 20;
constexpr std::int64_t kMaxLoraRank = std::int64_t{1} << 16;
constexpr std::int64_t kMaxSeqLen = std::int64_t{1} << 24;

std::string one_of(Fields& fields, std::string_view key, std::initializer_list<std::string_view> known) {
  std::string value = fields.text(key, 64);
  for (const std::string_view k : known)
    if (value == k) return value;
  fail(Fault::kEvidence, "recipe: \"", key, "\" is \"", value, "\", which is unknown");
}

// Members that only a run with adapters has: a full one does not mention them.
void add_lora(const Recipe& r, Json& json) {
  json["lora_alpha"] = double_hex(r.lora_alpha);
  json["lora_dropout"] = double_hex(r.lora_dropout);
  json["lora_rank"] = r.lora_rank;
  json["lora_targets"] = r.lora_targets;
}

// A finite real in [0, below); -0 is refused, so that a value has one spelling.
double real(Fields& fields, std::string_view key, double below = HUGE_VAL) {
  const double value = fields.double_bits(key);
  if (!std::isfinite(value) || std::signbit(value) || value >= below)
    fail(Fault::kEvidence, "recipe: \"", key, "\" is ", value, ", which no run can have");
  return value;
}

void read_lora(Fields& fields, Recipe& r) {
  r.lora_alpha = real(fields, "lora_alpha");
  r.lora_dropout = real(fields, "lora_dropout", 1.0);
  r.lora_rank = fields.integer("lora_rank", 1, kMaxLoraRank);
  r.lora_targets = fields.text("lora_targets", 64);
  std::vector<bool> targets;
  try {
    targets = lora_targets(r.lora_targets);
  } catch (const Error& e) {
    fail(Fault::kEvidence, "recipe: ", e.what());
  }
  if (lora_targets_text(targets) != r.lora_targets)
    fail(Fault::kEvidence, "recipe: \"lora_targets\" is \"", r.lora_targets,
         "\", not in the order of layers");
  if (r.lora_alpha == 0) fail(Fault::kEvidence, "recipe: \"lora_alpha\" is 0, with which nothing is learnt");
  if (r.init) fail(Fault::kEvidence, "recipe: \"init\" draws all weights, and adapters are of given ones");
}

}  // namespace

std::vector<bool> lora_targets(std::string_view list) {
  std::vector<bool> targets(std::size(kLoraTargets));
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t comma = std::min(list.find(',', at), list.size());
    const std::string_view name = list.substr(at, comma - at);
    const auto* const found = std::find(std::begin(kLoraTargets), std::end(kLoraTargets), name);
    if (found == std::end(kLoraTargets))
      fail(Fault::kUsage, "no product that can have an adapter: \"", name,
           "\"; there are q, k, v, o, gate, up, down, qkv");
    const auto i = static_cast<std::size_t>(found - std::begin(kLoraTargets));
    if (targets[i]) fail(Fault::kUsage, "adapters: \"", name, "\" is there twice");
    targets[i] = true;
    at = comma + 1;
  }
  return targets;
}

std::string lora_targets_text(const std::vector<bool>& targets) {
  std::string text;
  for (std::size_t i = 0; i < targets.size(); ++i)
    if (targets[i]) text += cat(text.empty() ? "" : ",", kLoraTargets[i]);
  return text;
}

Json to_json(const Recipe& r) {
  Json json = {{"batch_size", r.batch_size},
               {"beta1", double_hex(r.beta1)},
               {"beta2", double_hex(r.beta2)},
               {"clip_norm", double_hex(r.clip_norm)},
               {"decay_all", r.decay_all},
               {"eos", r.eos},
               {"eps", double_hex(r.eps)},
               {"grad_shards", r.grad_shards},
               {"init", r.init},
               {"lr", double_hex(r.lr)},
               {"method", r.method},
               {"momentum", double_hex(r.momentum)},
               {"optimizer", r.optimizer},
               {"packing", r.packing},
               {"schedule", r.schedule},
               {"seed", u64_hex(r.seed)},
               {"seq_len", r.seq_len},
               {"steps", r.steps},
               {"warmup_steps", r.warmup_steps},
               {"weight_decay", double_hex(r.weight_decay)}};
  if (r.is_lora()) add_lora(r, json);
  return json;
}

Recipe recipe_from_json(const Json& json) {
  Fields fields(json, "recipe");
  Recipe r;
  r.batch_size = fields.integer("batch_size", 1, kMaxBatch);
  r.beta1 = real(fields, "beta1", 1.0);
  r.beta2 = real(fields, "beta2", 1.0);
  r.clip_norm = real(fields, "clip_norm");
  r.decay_all = fields.boolean("decay_all");
  r.eos = fields.boolean("eos");
  r.eps = real(fields, "eps");
  r.grad_shards = static_cast<int>(fields.integer("grad_shards", 1, 1));
  r.init = fields.boolean("init");
  r.lr = real(fields, "lr");
  r.method = one_of(fields, "method", {"full", "lora"});
  r.momentum = real(fields, "momentum");
  r.optimizer = one_of(fields, "optimizer", {"adamw", "sgd"});
  r.packing = fields.boolean("packing");
  r.schedule = one_of(fields, "schedule", {"constant", "linear", "cosine"});
  r.seed = fields.u64_bits("seed");
  r.seq_len = fields.integer("seq_len", 1, kMaxSeqLen);
  r.steps = fields.integer("steps", 1, kMaxSteps);
  r.warmup_steps = fields.integer("warmup_steps", 0, kMaxSteps);
  r.weight_decay = real(fields, "weight_decay");
  if (r.is_lora()) read_lora(fields, r);
  fields.done();
  return r;
}

}  // namespace aftune::record
