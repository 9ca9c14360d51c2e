#include "train/adapter_folder.h"

#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "kernels/ops.h"
#include "model/adapter.h"
#include "model/folder.h"
#include "train/export.h"
#include "train/folder_writer.h"

namespace aftune::train {
namespace {

constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{1} << 20;

// Members that must have this value, or be absent where that means the same.
const std::pair<const char*, Json> kFixed[] = {
    {"bias", "none"},
    {"fan_in_fan_out", false},
    {"use_dora", false},
    {"use_rslora", false},
    {"lora_bias", false},
    {"rank_pattern", Json::object()},
    {"alpha_pattern", Json::object()},
    {"modules_to_save", nullptr},
    {"layers_to_transform", nullptr},
    {"layers_pattern", nullptr},
    {"layer_replication", nullptr},
    {"exclude_modules", nullptr},
    {"trainable_token_indices", nullptr},
    {"target_parameters", nullptr},
};

[[noreturn]] void bad(std::string_view key, std::string_view why) {
  fail(Fault::kEvidence, kAdapterConfig, ": \"", key, "\" ", why);
}

// "q_proj", by which peft finds the modules of all layers.
std::string_view module_of(std::size_t target) {
  const std::string_view name = model::kProjectionNames[target];
  return name.substr(name.find('.') + 1);
}

std::vector<bool> targets_from(const Json& json) {
  const auto found = json.find("target_modules");
  if (found == json.end() || !found->is_array()) bad("target_modules", "is not a list");
  std::vector<bool> targets(model::kProjections);
  for (const Json& item : *found) {
    std::size_t i = 0;
    while (i < targets.size() && item != module_of(i)) ++i;
    if (i == targets.size()) bad("target_modules", cat("has ", item.dump(), ", which can have no adapter"));
    targets[i] = true;
  }
  if (found->empty()) bad("target_modules", "is empty");
  return targets;
}

// A tensor of the model, with what its adapter adds.
Buffer merged(const model::Checkpoint& base, const model::Checkpoint& adapters, const record::Recipe& recipe,
              const std::vector<TensorSpec>& specs, const TensorSpec& spec, ThreadPool& pool) {
  Buffer weight = model::read_parameter(base, spec);
  for (std::size_t i = 0; i + 1 < specs.size(); i += 2) {
    if (model::adapted_weight(specs[i].name) != spec.name) continue;
    const Buffer a = model::read_parameter(adapters, specs[i]),
                 b = model::read_parameter(adapters, specs[i + 1]);
    Buffer product(weight.size());
    kernels::linear_grad_input(pool, spec.shape[0], spec.shape[1], recipe.lora_rank, b.data(), a.data(),
                               product.data(), kernels::Into::kStore);
    kernels::add_scaled(pool, weight.size(), model::adapter_scale(recipe), product.data(), weight.data());
  }
  return weight;
}

}  // namespace

std::string adapter_config(const record::Recipe& recipe) {
  Json json = {{"base_model_name_or_path", nullptr},
               {"inference_mode", true},
               {"init_lora_weights", "gaussian"},
               {"lora_dropout", recipe.lora_dropout},
               {"peft_type", "LORA"},
               {"r", recipe.lora_rank},
               {"task_type", "CAUSAL_LM"}};
  for (const auto& [key, value] : kFixed) json[key] = value;
  const double alpha = recipe.lora_alpha;
  if (alpha == std::floor(alpha) && alpha < 0x1p53)
    json["lora_alpha"] = static_cast<std::int64_t>(alpha);
  else
    json["lora_alpha"] = alpha;
  const std::vector<bool> targets = record::lora_targets(recipe.lora_targets);
  json["target_modules"] = Json::array();
  for (std::size_t i = 0; i < targets.size(); ++i)
    if (targets[i]) json["target_modules"].push_back(module_of(i));
  return json.dump(2) + "\n";
}

void read_adapter_config(std::string_view text, record::Recipe& recipe) {
  const Json json = within(kAdapterConfig, [&] { return parse_json(text, {.max_bytes = kMaxConfigBytes}); });
  if (!json.is_object()) fail(Fault::kEvidence, kAdapterConfig, ": not a JSON object");
  if (const auto type = json.find("peft_type"); type == json.end() || *type != "LORA")
    bad("peft_type", "is not \"LORA\"");
  for (const auto& [key, value] : kFixed)
    if (const auto found = json.find(key); found != json.end() && !found->is_null() && *found != value)
      bad(key, "is set; not supported");
  // Others change the model's weights too.
  if (const auto init = json.find("init_lora_weights");
      init != json.end() && !init->is_boolean() && !init->is_null() && *init != "gaussian")
    bad("init_lora_weights", "is set; not supported");
  const auto rank = json.find("r"), alpha = json.find("lora_alpha");
  if (rank == json.end() || !rank->is_number_unsigned() || *rank == 0 || *rank > (1 << 16))
    bad("r", "is no rank");
  if (alpha == json.end() || !alpha->is_number() || !(alpha->get<double>() > 0))
    bad("lora_alpha", "is not positive");
  recipe.lora_rank = rank->get<std::int64_t>();
  recipe.lora_alpha = alpha->get<double>();
  recipe.lora_targets = record::lora_targets_text(targets_from(json));
}

std::map<std::string, Digest> export_adapters(const fs::path& out, const record::Recipe& recipe,
                                              const Blocks& blocks) {
  return write_folder(out, [&](FolderWriter& folder) {
    std::vector<TensorSpec> specs;
    std::map<std::string, ByteView> values;
    for (const auto& block : blocks)
      for (const model::Parameter& p : block->parameters()) {
        specs.push_back(p.spec);
        values[p.spec.name] = p.value.bytes();
      }
    folder.put_weights(std::string(kAdapterWeights), specs,
                       [&](const TensorSpec& spec) { return values.at(spec.name); });
    folder.put(std::string(kAdapterConfig), adapter_config(recipe));
  });
}

void merge(const MergeOptions& options) {
  TrainOptions as_trained;
  as_trained.model = options.model;
  as_trained.out = options.out;
  check_output(as_trained);
  const std::string config_text = read_file(options.model / "config.json", kMaxConfigBytes);
  const auto config = within(options.model.native(), [&] { return model::Config::parse(config_text); });
  record::Recipe recipe;
  recipe.method = "lora";
  const auto base = model::Checkpoint::open(options.model);
  const auto adapters = open_adapters(options.adapter, config, recipe);
  const std::vector<TensorSpec> specs = model::all_trained_tensors(config, recipe);
  ThreadPool pool(options.threads);
  write_folder(options.out, [&](FolderWriter& folder) {
    Buffer now;
    folder.put_weights("model.safetensors", model::all_tensors(config), [&](const TensorSpec& spec) {
      now = merged(base, adapters, recipe, specs, spec, pool);
      return now.bytes();
    });
    put_model_files(folder, options.model, config_text);
  });
}

model::Checkpoint open_adapters(const fs::path& folder, const model::Config& config, record::Recipe& recipe) {
  const std::string text = read_file(folder / kAdapterConfig, kMaxConfigBytes);
  within(folder.native(), [&] { read_adapter_config(text, recipe); });
  const fs::path weights = folder / kAdapterWeights;
  auto adapters = model::Checkpoint::open_file(weights);
  std::set<std::string> known;
  for (const TensorSpec& spec : model::all_trained_tensors(config, recipe)) known.insert(spec.name);
  for (const auto& [name, entry] : adapters.entries())
    if (!known.contains(name))
      fail(Fault::kEvidence, weights.native(), ": \"", name, "\" is no tensor of these adapters");
  return adapters;
}

}  // namespace aftune::train
