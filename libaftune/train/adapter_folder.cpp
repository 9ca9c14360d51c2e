#include "train/adapter_folder.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "kernels/ops.h"
#include "model/adapter.h"
#include "model/architecture.h"
#include "model/folder.h"
#include "train/export.h"
#include "train/folder_writer.h"

namespace aftune::train {
namespace {

// Members that must have this value, or be absent where that means the same.
const std::pair<const char*, Json> kFixed[] = {
    {"bias", "none"},
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

// The last part of a module's name, or more of it where another's ends so too.
std::string_view short_name(const model::Architecture& architecture, std::size_t target) {
  const model::ProjectionNames& modules = architecture.projections_of_adapters();
  const std::string_view module = modules[target];
  const std::string_view last = module.substr(module.rfind('.') + 1);
  const auto found = std::count_if(modules.begin(), modules.end(),
                                   [&](std::string_view other) { return model::names_module(last, other); });
  return found == 1 ? last : module;
}

std::vector<bool> targets_from(const Json& json, const model::Architecture& architecture) {
  const auto found = json.find("target_modules");
  if (found == json.end() || !found->is_array()) bad("target_modules", "is not a list");
  std::vector<bool> targets(model::kProjections);
  for (const Json& item : *found) {
    bool known = false;
    for (std::size_t i = 0; i < targets.size(); ++i)
      if (item.is_string() &&
          model::names_module(item.get<std::string>(), architecture.projections_of_adapters()[i]))
        targets[i] = known = true;
    if (!known) bad("target_modules", cat("has ", item.dump(), ", which can have no adapter"));
  }
  if (found->empty()) bad("target_modules", "is empty");
  return targets;
}

// A^T B^T, A [rank, in] and B [out, rank]: what stands beside a matrix [in, out].
void transposed_product(ThreadPool& pool, std::int64_t rank, const TensorSpec& spec, const Buffer& a,
                        const Buffer& b, Buffer& product) {
  const std::int64_t in = spec.shape[0], out = spec.shape[1];
  Buffer columns(in * rank);
  for (std::int64_t r = 0; r < rank; ++r)
    for (std::int64_t i = 0; i < in; ++i) columns[i * rank + r] = a[r * in + i];
  kernels::linear(pool, in, rank, out, columns.data(), b.data(), product.data());
}

// A tensor of the model, with what its adapter adds.
Buffer merged(const model::Checkpoint& base, const model::Checkpoint& adapters, const model::Config& config,
              const record::Recipe& recipe, const TensorSpec& spec, ThreadPool& pool) {
  const std::vector<TensorSpec> specs = model::all_trained_tensors(config, recipe);
  Buffer weight = model::read_parameter(base, spec);
  for (std::size_t i = 0; i + 1 < specs.size(); i += 2) {
    if (model::adapted_weight(config, specs[i].name) != spec.name) continue;
    const Buffer a = model::read_parameter(adapters, specs[i]),
                 b = model::read_parameter(adapters, specs[i + 1]);
    Buffer product(weight.size());
    if (config.architecture->transposed)
      transposed_product(pool, recipe.lora_rank, spec, a, b, product);
    else
      kernels::linear_grad_input(pool, spec.shape[0], spec.shape[1], recipe.lora_rank, b.data(), a.data(),
                                 product.data(), kernels::Into::kStore);
    kernels::add_scaled(pool, weight.size(), model::adapter_scale(recipe), product.data(), weight.data());
  }
  return weight;
}

}  // namespace

std::string adapter_config(const model::Config& config, const record::Recipe& recipe) {
  Json json = {{"base_model_name_or_path", nullptr},
               {"fan_in_fan_out", config.architecture->transposed},
               {"inference_mode", true},
               {"init_lora_weights", "gaussian"},
               {"lora_dropout", recipe.lora_dropout},
               {"peft_type", "LORA"},
               {"r", recipe.lora_rank},
               // peft has no task of images.
               {"task_type", config.images ? Json(nullptr) : Json("CAUSAL_LM")}};
  for (const auto& [key, value] : kFixed) json[key] = value;
  const double alpha = recipe.lora_alpha;
  if (alpha == std::floor(alpha) && alpha < 0x1p53)
    json["lora_alpha"] = static_cast<std::int64_t>(alpha);
  else
    json["lora_alpha"] = alpha;
  const std::vector<bool> targets = record::lora_targets(recipe.lora_targets);
  json["target_modules"] = Json::array();
  for (std::size_t i = 0; i < targets.size(); ++i)
    if (targets[i]) json["target_modules"].push_back(short_name(*config.architecture, i));
  return json.dump(2) + "\n";
}

void read_adapter_config(std::string_view text, const model::Config& config, record::Recipe& recipe) {
  const Json json =
      within(kAdapterConfig, [&] { return parse_json(text, {.max_bytes = model::kMaxConfigBytes}); });
  if (!json.is_object()) fail(Fault::kEvidence, kAdapterConfig, ": not a JSON object");
  if (const auto type = json.find("peft_type"); type == json.end() || *type != "LORA")
    bad("peft_type", "is not \"LORA\"");
  const auto differs = [&](const char* key, const Json& value) {
    const auto found = json.find(key);
    return found != json.end() && !found->is_null() && *found != value;
  };
  for (const auto& [key, value] : kFixed)
    if (differs(key, value)) bad(key, "is set; not supported");
  if (differs("fan_in_fan_out", config.architecture->transposed))
    bad("fan_in_fan_out", cat("is not ", config.architecture->transposed ? "true" : "false",
                              ", which the layers of this model need"));
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
  recipe.lora_targets = record::lora_targets_text(targets_from(json, *config.architecture));
}

std::map<std::string, Digest> export_adapters(const fs::path& out, const model::Config& config,
                                              const record::Recipe& recipe, const Blocks& blocks) {
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
    folder.put(std::string(kAdapterConfig), adapter_config(config, recipe));
  });
}

void merge(const MergeOptions& options) {
  TrainOptions as_trained;
  as_trained.model = options.model;
  as_trained.out = options.out;
  check_output(as_trained);
  const std::string config_text = read_file(options.model / "config.json", model::kMaxConfigBytes);
  const auto config = within(options.model.native(), [&] { return model::Config::parse(config_text); });
  record::Recipe recipe;
  recipe.method = "lora";
  const auto base = model::Checkpoint::open(options.model, config);
  const auto adapters = open_adapters(options.adapter, config, recipe);
  ThreadPool pool(options.threads);
  write_folder(options.out, [&](FolderWriter& folder) {
    Buffer now;
    folder.put_weights("model.safetensors", model::all_tensors(config), [&](const TensorSpec& spec) {
      now = merged(base, adapters, config, recipe, spec, pool);
      return now.bytes();
    });
    put_model_files(folder, options.model, config_text);
  });
}

model::Checkpoint open_adapters(const fs::path& folder, const model::Config& config, record::Recipe& recipe) {
  const std::string text = read_file(folder / kAdapterConfig, model::kMaxConfigBytes);
  within(folder.native(), [&] { read_adapter_config(text, config, recipe); });
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
