#include "audit/policy.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>
#include <variant>

#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

using record::Manifest;
using record::Recipe;

// A recipe member as the policy sees it. Every member of Recipe is here: what is not pinned must be listed.
using Member = std::variant<std::int64_t Recipe::*, int Recipe::*, double Recipe::*, bool Recipe::*,
                            std::string Recipe::*, std::uint64_t Recipe::*>;
struct RecipeField {
  std::string_view name;
  Member member;
};
const RecipeField kRecipeFields[] = {
    {"method", &Recipe::method},
    {"lora_rank", &Recipe::lora_rank},
    {"lora_alpha", &Recipe::lora_alpha},
    {"lora_dropout", &Recipe::lora_dropout},
    {"lora_targets", &Recipe::lora_targets},
    {"steps", &Recipe::steps},
    {"batch_size", &Recipe::batch_size},
    {"seq_len", &Recipe::seq_len},
    {"packing", &Recipe::packing},
    {"eos", &Recipe::eos},
    {"seed", &Recipe::seed},
    {"optimizer", &Recipe::optimizer},
    {"beta1", &Recipe::beta1},
    {"beta2", &Recipe::beta2},
    {"eps", &Recipe::eps},
    {"momentum", &Recipe::momentum},
    {"weight_decay", &Recipe::weight_decay},
    {"decay_all", &Recipe::decay_all},
    {"lr", &Recipe::lr},
    {"schedule", &Recipe::schedule},
    {"warmup_steps", &Recipe::warmup_steps},
    {"clip_norm", &Recipe::clip_norm},
    {"grad_shards", &Recipe::grad_shards},
    {"init", &Recipe::init},
};

const RecipeField* find_field(std::string_view name) {
  for (const RecipeField& field : kRecipeFields)
    if (field.name == name) return &field;
  return nullptr;
}

// The pinned value in the member's own type. Throws Error{kUsage} if the policy wrote another kind of value.
template <class T>
T pinned(std::string_view name, const Json& value) {
  const auto bad = [&](std::string_view kind) {
    fail(Fault::kUsage, "policy: recipe: \"", name, "\" is not ", kind);
  };
  if constexpr (std::is_same_v<T, bool>) {
    if (!value.is_boolean()) bad("true or false");
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (!value.is_string()) bad("a string");
  } else if constexpr (std::is_same_v<T, double>) {
    if (!value.is_number()) bad("a number");
  } else {
    if (std::is_same_v<T, std::uint64_t> && value.is_string())
      return static_cast<T>(u64_from_hex(value.get_ref<const std::string&>()));
    if (!value.is_number_integer() || value < 0 || value > kMaxJsonInteger)
      bad("an integer from 0 to 2^53 - 1");
    if (sizeof(T) < sizeof(std::int64_t) &&
        value.get<std::int64_t>() > static_cast<std::int64_t>(std::numeric_limits<T>::max()))
      bad("in its range");
  }
  return value.get<T>();
}

template <class T>
std::string shown(const T& value) {
  if constexpr (std::is_same_v<T, std::string>)
    return value;
  else
    return Json(value).dump();
}

// Empty if `found` is what the policy allows, else what was expected.
template <class T>
std::string contradiction(std::string_view name, const Json& wanted, const T& found) {
  if (!wanted.is_object()) {
    const T exact = pinned<T>(name, wanted);
    return exact == found ? "" : cat("expected ", shown(exact), ", found ", shown(found));
  }
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string>) {
    fail(Fault::kUsage, "policy: recipe: \"", name, "\" has no order, so no range");
  } else {
    for (const auto& [key, bound] : wanted.items()) {
      if (key != "min" && key != "max")
        fail(Fault::kUsage, "policy: recipe: \"", name, "\": \"", key, "\" is not a known member");
      const T limit = pinned<T>(name, bound);
      // Negated, so that a NaN satisfies nothing.
      if (key == "min" ? !(found >= limit) : !(found <= limit))
        return cat("expected ", key == "min" ? "at least " : "at most ", shown(limit), ", found ",
                   shown(found));
    }
    if (wanted.empty()) fail(Fault::kUsage, "policy: recipe: \"", name, "\": an empty range pins nothing");
    return "";
  }
}

std::string recipe_contradiction(const RecipeField& field, const Json& wanted, const Recipe& recipe) {
  return std::visit([&](auto member) { return contradiction(field.name, wanted, recipe.*member); },
                    field.member);
}

std::map<std::string, Json> parse_recipe(const Json& json) {
  if (!json.is_object()) fail(Fault::kUsage, "policy: \"recipe\" is not an object");
  std::map<std::string, Json> recipe;
  for (const auto& [name, value] : json.items()) {
    const RecipeField* field = find_field(name);
    if (field == nullptr) fail(Fault::kUsage, "policy: recipe: \"", name, "\" is not a known member");
    recipe_contradiction(*field, value, Recipe{});  // throws if the value is of the wrong kind
    recipe[name] = value;
  }
  return recipe;
}

std::vector<std::string> parse_names(std::string_view key, const Json& list) {
  std::vector<std::string> names;
  for (const Json& item : list) {
    if (!item.is_string()) fail(Fault::kUsage, "policy: \"", key, "\" has an entry that is not a string");
    names.push_back(item.get<std::string>());
  }
  if (names.empty()) fail(Fault::kUsage, "policy: \"", key, "\" allows nothing");
  return names;
}

Range parse_range(std::string_view key, const Json& value) {
  const auto count = [&](const Json& number) {
    if (!number.is_number_integer() || number < 0 || number > kMaxJsonInteger)
      fail(Fault::kUsage, "policy: \"", key, "\" is not an integer from 0 to 2^53 - 1, or a range of them");
    return number.get<std::int64_t>();
  };
  if (!value.is_object()) return {count(value), count(value)};
  Fields fields(value, cat("policy: ", key));
  Range range;
  if (fields.has("min")) range.least = count(fields.at("min"));
  if (fields.has("max")) range.most = count(fields.at("max"));
  fields.done();
  if (value.empty()) fail(Fault::kUsage, "policy: \"", key, "\": an empty range pins nothing");
  if (range.least > range.most) fail(Fault::kUsage, "policy: \"", key, "\" allows nothing");
  return range;
}

WantedPlan parse_plan(const Json& json) {
  Fields fields(json, "policy: plan");
  WantedPlan plan;
  const Json& confidence = fields.at("confidence");
  if (confidence.is_number()) plan.confidence = confidence.get<double>();
  if (!(plan.confidence > 0 && plan.confidence < 1))
    fail(Fault::kUsage, "policy: plan: \"confidence\" is not between 0 and 1");
  plan.attacker = within("policy: plan", [&] { return attacker_from_json(fields.object("attacker")); });
  for (const auto& [key, count] : {std::pair{"inputs", &plan.least.inputs},
                                   {"objective", &plan.least.objective},
                                   {"ends", &plan.least.ends}})
    if (fields.has(key)) *count = fields.integer(key, 1);
  fields.done();
  return plan;
}

WantedBeacon parse_beacon(const Json& json) {
  Fields fields(json, "policy: beacon");
  WantedBeacon beacon{fields.text("source", 1024), fields.integer("round", 0)};
  fields.done();
  if (beacon.source.empty()) fail(Fault::kUsage, "policy: beacon: \"source\" is empty");
  return beacon;
}

std::vector<std::string> parse_seed_kinds(const Json& list) {
  std::vector<std::string> kinds = parse_names("seed_kinds", list);
  for (const std::string& kind : kinds)
    if (!is_seed_kind(kind)) fail(Fault::kUsage, "policy: \"seed_kinds\": \"", kind, "\" is not one");
  return kinds;
}

void parse_witnesses(const Json& json, Policy& policy) {
  Fields fields(json, "policy: witnesses");
  policy.witnesses = parse_names("witnesses", fields.array("vkeys"));
  const auto known = std::set(policy.witnesses.begin(), policy.witnesses.end());
  if (known.size() != policy.witnesses.size() || known.count("") != 0)
    fail(Fault::kUsage, "policy: witnesses: \"vkeys\" names one twice, or has an empty one");
  policy.witness_threshold = static_cast<int>(fields.integer("threshold", 1, std::ssize(policy.witnesses)));
  fields.done();
}

std::string hex_text(Fields& fields, std::string_view key) {
  std::string hex = fields.text(key, 2048);
  from_hex(hex);
  return hex;
}

template <class T, class Read>
void optional_member(Fields& fields, std::string_view key, std::optional<T>& to, const Read& read) {
  if (fields.has(key)) to = read(key);
}

// What the policy asks of the audit, not of the run.
void read_audit_terms(Fields& fields, Policy& policy) {
  const auto count = [&](std::string_view key) { return fields.integer(key, 1); };
  optional_member(fields, "min_cells", policy.min_cells, count);
  optional_member(fields, "plan", policy.plan,
                  [&](std::string_view key) { return parse_plan(fields.at(key)); });
  optional_member(fields, "seed_kinds", policy.seed_kinds,
                  [&](std::string_view key) { return parse_seed_kinds(fields.array(key)); });
  optional_member(fields, "seed_commitment", policy.seed_commitment,
                  [&](std::string_view key) { return fields.digest(key); });
  optional_member(fields, "beacon", policy.beacon,
                  [&](std::string_view key) { return parse_beacon(fields.at(key)); });
  if (fields.has("witnesses")) parse_witnesses(fields.at("witnesses"), policy);
  optional_member(fields, "max_blocks_disclosed", policy.max_blocks_disclosed, count);
  if (fields.has("require_final_params"))
    policy.require_final_params = fields.boolean("require_final_params");
}

// Members that say something only together.
void require_bound(const Policy& policy) {
  if (policy.run_from_nonce && policy.nonce.value_or("").empty())
    fail(Fault::kUsage, "policy: \"run_from_nonce\" needs a \"nonce\"");
  if (policy.run_from_nonce && policy.run)
    fail(Fault::kUsage, "policy: \"run\" cannot be known beside \"run_from_nonce\"");
  if (policy.seed_commitment && !policy.run_from_nonce)
    fail(Fault::kUsage, "policy: \"seed_commitment\" needs \"run_from_nonce\", which binds the run to it");
}

Policy read_policy(std::string_view text) {
  const Json json = parse_json(text, {.max_bytes = std::size_t{1} << 20, .max_depth = 8});
  Fields fields(json, "policy");
  fields.integer("version", 1, 1);
  const auto digest = [&](std::string_view key) { return fields.digest(key); };
  const auto count = [&](std::string_view key) { return fields.integer(key, 1); };
  const auto hex = [&](std::string_view key) { return hex_text(fields, key); };
  const auto range = [&](std::string_view key) { return parse_range(key, fields.at(key)); };
  Policy policy;
  policy.digest = hash::blake3(text);
  optional_member(fields, "vkey", policy.vkey, [&](std::string_view key) { return fields.text(key, 4096); });
  optional_member(fields, "nonce", policy.nonce, hex);
  optional_member(fields, "run", policy.run, hex);
  if (fields.has("run_from_nonce")) policy.run_from_nonce = fields.boolean("run_from_nonce");
  optional_member(fields, "software", policy.software,
                  [&](std::string_view key) { return fields.text(key, 256); });
  optional_member(fields, "created", policy.created, range);
  optional_member(fields, "base_root", policy.base_root, digest);
  optional_member(fields, "adapter_root", policy.adapter_root, digest);
  optional_member(fields, "config", policy.config, digest);
  optional_member(fields, "tokenizer", policy.tokenizer, digest);
  optional_member(fields, "template", policy.template_, digest);
  optional_member(fields, "images", policy.images, digest);
  optional_member(fields, "data_root", policy.data_root, digest);
  optional_member(fields, "data_rows", policy.data_rows, range);
  optional_member(fields, "eval_root", policy.eval_root, digest);
  optional_member(fields, "eval_rows", policy.eval_rows, range);
  optional_member(fields, "eval_every", policy.eval_every, range);
  if (fields.has("recipe")) policy.recipe = parse_recipe(fields.at("recipe"));
  optional_member(fields, "numerics", policy.numerics,
                  [&](std::string_view key) { return parse_names(key, fields.array(key)); });
  optional_member(fields, "max_layers_per_block", policy.max_layers_per_block, count);
  optional_member(fields, "max_steps_per_block", policy.max_steps_per_block, count);
  optional_member(fields, "hiding", policy.hiding, [&](std::string_view key) { return fields.boolean(key); });
  read_audit_terms(fields, policy);
  fields.done();
  require_bound(policy);
  return policy;
}

// Collects one reason per contradicted field.
class Comparison {
 public:
  template <class T>
  void equal(std::string_view field, const std::optional<T>& wanted, const T& found) {
    if (wanted && *wanted != found) add(field, cat("expected ", text(*wanted), ", found ", text(found)));
  }
  void inside(std::string_view field, const std::optional<Range>& wanted, std::int64_t found) {
    if (!wanted || (found >= wanted->least && found <= wanted->most)) return;
    const std::string bound = wanted->least == wanted->most ? std::to_string(wanted->least)
                              : found < wanted->least       ? cat("at least ", wanted->least)
                                                            : cat("at most ", wanted->most);
    add(field, cat("expected ", bound, ", found ", found));
  }
  void at_most(std::string_view field, const std::optional<std::int64_t>& wanted, std::int64_t found) {
    if (wanted && found > *wanted) add(field, cat("expected at most ", *wanted, ", found ", found));
  }
  void add(std::string_view field, std::string detail) {
    reasons.push_back({Code::kPolicy, cat("manifest ", field), std::move(detail)});
  }
  std::vector<Reason> reasons;

 private:
  static std::string text(const Digest& digest) { return to_hex(digest); }
  static std::string text(std::int64_t number) { return std::to_string(number); }
  static std::string text(const std::string& value) { return value; }
};

}  // namespace

Policy parse_policy(std::string_view text) {
  try {
    return read_policy(text);
  } catch (const Error& e) {
    throw Error(Fault::kUsage, e.what());  // the client's own file: not evidence
  }
}

std::string run_id_of(const Policy& policy) {
  AFTUNE_CHECK(policy.nonce.has_value());
  Bytes material = from_hex(*policy.nonce);
  const ByteView digest = as_bytes(policy.digest);
  material.insert(material.end(), digest.begin(), digest.end());
  return to_hex(hash::blake3(material)).substr(0, 32);
}

std::vector<Reason> check_policy(const Policy& policy, const Manifest& manifest, const record::Salts* salts) {
  Comparison compare;
  const auto root = [&](std::string_view field, record::Role role, const std::optional<Digest>& wanted,
                        const Digest& found) {
    const record::SaltName salt{0, role};
    if (!wanted || !manifest.hiding()) return compare.equal(field, wanted, found);
    if (salts == nullptr || !salts->has(salt))
      compare.reasons.push_back(
          {Code::kAbsent, cat("manifest ", field), cat("salt ", to_text(salt), " is not at hand")});
    else
      compare.equal(field, std::optional(record::published(salts, salt, *wanted)), found);
  };
  compare.equal("nonce", policy.nonce, manifest.nonce);
  compare.equal("run", policy.run_from_nonce ? std::optional(run_id_of(policy)) : policy.run, manifest.run);
  compare.equal("software", policy.software, manifest.software);
  compare.inside("created", policy.created, manifest.created);
  compare.equal("base", policy.base_root, manifest.base.root);
  if (policy.adapter_root && !manifest.adapter)
    compare.add("adapter", cat("expected ", to_hex(*policy.adapter_root), ", found none"));
  else if (manifest.adapter)
    compare.equal("adapter", policy.adapter_root, manifest.adapter->root);
  compare.equal("config", policy.config, hash::blake3(manifest.config));
  compare.equal("tokenizer", policy.tokenizer, manifest.tokenizer);
  compare.equal("template", policy.template_, hash::blake3(manifest.template_));
  if (policy.images && !manifest.images)
    compare.add("images", cat("expected ", to_hex(*policy.images), ", found none"));
  else if (manifest.images)
    compare.equal("images", policy.images, record::digest_of(*manifest.images));
  root("data root", record::Role::kData, policy.data_root, manifest.data_root);
  compare.inside("data rows", policy.data_rows, manifest.data_rows);
  if (policy.eval_root && !manifest.eval_root)
    compare.add("eval root", cat("expected ", to_hex(*policy.eval_root), ", found none"));
  else if (manifest.eval_root)
    root("eval root", record::Role::kEval, policy.eval_root, *manifest.eval_root);
  compare.inside("eval rows", policy.eval_rows, manifest.eval_rows);
  compare.inside("eval every", policy.eval_every, manifest.eval_every);
  if (policy.hiding && *policy.hiding != manifest.hiding())
    compare.add("hiding", manifest.hiding() ? "expected false, found true" : "expected true, found none");
  compare.at_most("layers_per_block", policy.max_layers_per_block, manifest.grid.layers_per_block);
  compare.at_most("steps_per_block", policy.max_steps_per_block, manifest.grid.steps_per_block);
  for (const auto& [name, wanted] : policy.recipe) {
    const RecipeField* field = find_field(name);
    AFTUNE_CHECK(field != nullptr);
    if (std::string detail = recipe_contradiction(*field, wanted, manifest.recipe); !detail.empty())
      compare.add("recipe." + name, std::move(detail));
  }
  if (policy.numerics) {
    const auto& allowed = *policy.numerics;
    if (std::find(allowed.begin(), allowed.end(), manifest.profile) == allowed.end())
      compare.add("numerics", cat("\"", manifest.profile, "\" is not allowed"));
  } else if (manifest.profile == record::kNativeProfile) {
    compare.add("numerics", "\"native\" is not allowed unless the policy names it");
  }
  return std::move(compare.reasons);
}

std::vector<std::string> unpinned(const Policy* policy) {
  if (policy == nullptr) return {"the whole manifest (no policy)"};
  std::vector<std::string> out;
  const auto need = [&](bool pinned, std::string_view field) {
    if (!pinned) out.emplace_back(field);
  };
  need(policy->nonce || policy->run, "nonce or run");
  need(policy->software.has_value(), "software");
  need(policy->created.has_value(), "created");
  need(policy->base_root.has_value(), "base_root");
  need(policy->config.has_value(), "config");
  if (!policy->images) {
    need(policy->tokenizer.has_value(), "tokenizer");
    need(policy->template_.has_value(), "template");
  }
  need(policy->data_root.has_value(), "data_root");
  need(policy->data_rows.has_value(), "data_rows");
  const bool no_eval = policy->eval_rows && policy->eval_rows->most == 0;
  need(policy->eval_root || no_eval, "eval_root");
  need(policy->eval_rows.has_value(), "eval_rows");
  need(policy->eval_every || no_eval, "eval_every");
  need(policy->numerics.has_value(), "numerics");
  need(policy->max_layers_per_block.has_value(), "max_layers_per_block");
  need(policy->max_steps_per_block.has_value(), "max_steps_per_block");
  const auto method = policy->recipe.find("method");
  const bool lora = method != policy->recipe.end() && method->second == "lora";
  if (lora) need(policy->adapter_root.has_value(), "adapter_root");
  for (const RecipeField& field : kRecipeFields)
    if (lora || !field.name.starts_with("lora_"))
      need(policy->recipe.count(std::string(field.name)) != 0, cat("recipe.", field.name));
  return out;
}

}  // namespace aftune::audit
