#include "record/recipe.h"

#include <cmath>
#include <initializer_list>
#include <string_view>

#include "base/error.h"

namespace aftune::record {
namespace {

// Bounds far above any real run, so that products of two of these fit 63 bits.
constexpr std::int64_t kMaxSteps = std::int64_t{1} << 40;
constexpr std::int64_t kMaxBatch = std::int64_t{1} << 20;
constexpr std::int64_t kMaxSeqLen = std::int64_t{1} << 24;

std::string one_of(Fields& fields, std::string_view key, std::initializer_list<std::string_view> known) {
  std::string value = fields.text(key, 64);
  for (const std::string_view k : known)
    if (value == k) return value;
  fail(Fault::kEvidence, "recipe: \"", key, "\" is \"", value, "\", which is unknown");
}

// A finite real in [0, below); -0 is refused, so that a value has one spelling.
double real(Fields& fields, std::string_view key, double below = HUGE_VAL) {
  const double value = fields.double_bits(key);
  if (!std::isfinite(value) || std::signbit(value) || value >= below)
    fail(Fault::kEvidence, "recipe: \"", key, "\" is ", value, ", which no run can have");
  return value;
}

}  // namespace

Json to_json(const Recipe& r) {
  return {{"batch_size", r.batch_size},
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
  r.method = one_of(fields, "method", {"full"});
  r.momentum = real(fields, "momentum");
  r.optimizer = one_of(fields, "optimizer", {"adamw", "sgd"});
  r.packing = fields.boolean("packing");
  r.schedule = one_of(fields, "schedule", {"constant", "linear", "cosine"});
  r.seed = fields.u64_bits("seed");
  r.seq_len = fields.integer("seq_len", 1, kMaxSeqLen);
  r.steps = fields.integer("steps", 1, kMaxSteps);
  r.warmup_steps = fields.integer("warmup_steps", 0, kMaxSteps);
  r.weight_decay = real(fields, "weight_decay");
  fields.done();
  return r;
}

}  // namespace aftune::record
