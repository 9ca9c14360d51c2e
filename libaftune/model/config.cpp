#include "model/config.h"

#include "base/error.h"
#include "base/json.h"
#include "model/architecture.h"
#include "model/config_reader.h"
#include "model/family.h"

namespace aftune::model {
namespace {

constexpr std::size_t kMaxEos = 64;

const Family& read_family(const ConfigReader& in) {
  const std::string type = in.text("model_type", "");
  if (const Family* family = find_family(type)) return *family;
  std::string known;
  for (const Family& family : families()) known += cat(known.empty() ? "" : ", ", family.model_type);
  ConfigReader::bad("model_type", cat("is \"", type, "\"; supported are ", known));
}

// eos_token_id of `file`, an id or a list of them.
std::vector<std::int32_t> read_eos(const Json* eos, const char* file) {
  std::vector<std::int32_t> ids;
  if (eos == nullptr || eos->is_null()) return ids;
  const auto bad = [&](std::string_view why) { fail(Fault::kEvidence, file, ": \"eos_token_id\" ", why); };
  const Json list = eos->is_array() ? *eos : Json::array({*eos});
  if (list.size() > kMaxEos) bad(cat("has more than ", kMaxEos, " ids"));
  for (const Json& id : list) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= static_cast<std::uint64_t>(kMaxVocab))
      bad("is not a token id");
    ids.push_back(id.get<std::int32_t>());
  }
  return ids;
}

void read_special_ids(const ConfigReader& in, Config& config) {
  config.bos = static_cast<std::int32_t>(in.integer("bos_token_id", -1, -1, kMaxVocab - 1));
  config.eos = read_eos(in.find("eos_token_id"), "config.json");
}

}  // namespace

Config Config::parse(std::string_view config_json) {
  const Json json = within("config.json", [&] { return parse_json(config_json, {.max_bytes = 1 << 20}); });
  if (!json.is_object()) fail(Fault::kEvidence, "config.json: not a JSON object");
  const ConfigReader in(json);
  const Family& family = read_family(in);
  if (in.find("quantization_config") != nullptr)
    ConfigReader::bad("quantization_config", "is set; quantised weights are not supported");
  Config c;
  c.model_type = family.model_type;
  c.architecture = family.architecture;
  c.initializer_range = in.positive("initializer_range", 0.02);
  if (c.initializer_range > 1.0) ConfigReader::bad("initializer_range", "is above 1");
  c.architecture->read_config(in, family, c);
  if (!c.images) read_special_ids(in, c);
  return c;
}

std::set<std::int32_t> eos_ids(const Config& config, std::string_view generation_config_json) {
  std::set<std::int32_t> ids(config.eos.begin(), config.eos.end());
  if (generation_config_json.empty()) return ids;
  constexpr const char* kFile = "generation_config.json";
  const Json json = within(kFile, [&] { return parse_json(generation_config_json, {.max_bytes = 1 << 20}); });
  if (!json.is_object()) fail(Fault::kEvidence, kFile, ": not a JSON object");
  const auto found = json.find("eos_token_id");
  const std::vector<std::int32_t> more = read_eos(found == json.end() ? nullptr : &*found, kFile);
  ids.insert(more.begin(), more.end());
  return ids;
}

kernels::OpUses op_uses(const Config& config, const record::Recipe& recipe) {
  kernels::OpUses uses = config.architecture->op_uses(config);
  uses.adapters = recipe.is_lora();
  return uses;
}

std::vector<TensorSpec> unit_tensors(const Config& config, int unit) {
  AFTUNE_CHECK(unit >= 0 && unit <= config.layers + 1);
  return config.architecture->unit_tensors(config, unit);
}

std::vector<TensorSpec> all_tensors(const Config& config) {
  std::vector<TensorSpec> all;
  for (int unit = 0; unit <= config.layers + 1; ++unit)
    for (TensorSpec& spec : unit_tensors(config, unit)) all.push_back(std::move(spec));
  return all;
}

}  // namespace aftune::model
