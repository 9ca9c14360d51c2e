#include "model/config.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "model/family.h"

namespace aftune::model {
namespace {

// A config is hostile until shown otherwise: sizes are bounded so that no product of them overflows, and none
// of them alone takes much memory or time.
constexpr std::int64_t kMaxVocab = std::int64_t{1} << 24;
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 17;  // also of attention: heads * head_dim
constexpr std::int64_t kMaxIntermediate = std::int64_t{1} << 19;
constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxPosition = std::int64_t{1} << 24;
constexpr std::size_t kMaxEos = 64;

/// Reads members of config.json. Unlike Fields it lets unknown members pass: hubs add them at will.
class Reader {
 public:
  explicit Reader(const Json& json) : json_(json) {}

  const Json* find(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  /// Whether it is written, be it as null.
  bool has(const char* key) const { return json_.contains(key); }
  std::int64_t integer(const char* key, std::int64_t fallback, std::int64_t least, std::int64_t most) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_number_integer()) bad(key, "is not an integer");
    if (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(most))
      bad(key, cat("is ", value->get<std::uint64_t>(), ", more than ", most));
    const auto number = value->get<std::int64_t>();
    if (number < least || number > most) bad(key, cat("is ", number, ", not within ", least, " and ", most));
    return number;
  }
  double real(const char* key, double fallback) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_number()) bad(key, "is not a number");
    const auto number = value->get<double>();
    if (!std::isfinite(number)) bad(key, "is not finite");
    return number;
  }
  double positive(const char* key, double fallback) const {
    const double number = real(key, fallback);
    if (number <= 0) bad(key, "is not positive");
    return number;
  }
  bool flag(const char* key, bool fallback) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) bad(key, "is not true or false");
    return value->get<bool>();
  }
  std::string text(const char* key, const char* fallback) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) bad(key, "is not a string");
    return value->get<std::string>();
  }
  [[noreturn]] static void bad(const char* key, std::string_view why) {
    fail(Fault::kEvidence, "config.json: \"", key, "\" ", why);
  }

 private:
  const Json& json_;
};

const Family& read_family(const Reader& in) {
  const std::string type = in.text("model_type", "");
  if (const Family* family = find_family(type)) return *family;
  std::string known;
  for (const Family& family : families()) known += cat(known.empty() ? "" : ", ", family.model_type);
  Reader::bad("model_type", cat("is \"", type, "\"; supported are ", known));
}

void refuse_window(const Reader& in, const Family& family) {
  switch (family.window) {
    case Family::Window::kSwitch:
      if (in.flag("use_sliding_window", false)) Reader::bad("use_sliding_window", "is true; not supported");
      return;
    case Family::Window::kMember:
      if (!in.has("sliding_window"))
        Reader::bad("sliding_window", "is not there, which means a window of 4096; only null is supported");
      break;
    case Family::Window::kNone:
      break;
  }
  if (in.find("sliding_window") != nullptr) Reader::bad("sliding_window", "is set; not supported");
}

void refuse_unsupported(const Reader& in) {
  if (const std::string act = in.text("hidden_act", "silu"); act != "silu")
    Reader::bad("hidden_act", cat("is \"", act, "\"; only \"silu\" is supported"));
  for (const char* key : {"attention_bias", "mlp_bias"})
    if (in.flag(key, false)) Reader::bad(key, "is true; biases are not supported");
  if (in.find("quantization_config") != nullptr)
    Reader::bad("quantization_config", "is set; quantised weights are not supported");
  if (const Json* tp = in.find("pretraining_tp"); tp != nullptr && *tp != 1)
    Reader::bad("pretraining_tp", "is not 1; not supported");
  if (const Json* types = in.find("layer_types"); types != nullptr) {
    const bool full = types->is_array() && std::all_of(types->begin(), types->end(),
                                                       [](const Json& t) { return t == "full_attention"; });
    if (!full) Reader::bad("layer_types", "names another attention than \"full_attention\"");
  }
}

RopeScaling read_llama3(const Reader& rope, std::int64_t max_position) {
  for (const char* key : {"factor", "low_freq_factor", "high_freq_factor"})
    if (rope.find(key) == nullptr) Reader::bad(key, "is missing, which rope_type \"llama3\" needs");
  RopeScaling s;
  s.factor = rope.positive("factor", 0);
  s.low_freq_factor = rope.positive("low_freq_factor", 0);
  s.high_freq_factor = rope.positive("high_freq_factor", 0);
  if (s.high_freq_factor <= s.low_freq_factor)
    Reader::bad("high_freq_factor", "is not above \"low_freq_factor\"");
  s.original_max_position = rope.integer("original_max_position_embeddings", max_position, 1, kMaxPosition);
  return s;
}

std::optional<RopeScaling> read_scaling(const Json& json, std::int64_t max_position) {
  const Reader rope(json);
  for (const auto& [key, value] : json.items())
    if (value.is_structured()) Reader::bad(key.c_str(), "is nested; one RoPE for all layers is supported");
  const std::string type = rope.text("rope_type", rope.text("type", "default").c_str());
  if (type == "default") return std::nullopt;
  if (type != "llama3")
    Reader::bad("rope_type", cat("is \"", type, "\"; only \"default\" and \"llama3\" are supported"));
  return read_llama3(rope, max_position);
}

void refuse_partial_rotation(const Reader& in) {
  if (in.real("partial_rotary_factor", 1.0) != 1.0)
    Reader::bad("partial_rotary_factor", "is not 1; not supported");
}

// transformers 4 writes rope_theta beside rope_scaling, transformers 5 both inside rope_parameters. Readers
// differ in which of two contradicting statements they believe, so there may be none.
void read_rope(const Reader& in, Config& config) {
  config.rope_theta = in.positive("rope_theta", 10000);
  refuse_partial_rotation(in);
  const Json *scaling = in.find("rope_scaling"), *parameters = in.find("rope_parameters");
  if (scaling != nullptr && parameters != nullptr && *scaling != *parameters)
    Reader::bad("rope_scaling", "contradicts \"rope_parameters\"");
  const Json* found = parameters != nullptr ? parameters : scaling;
  if (found == nullptr) return;
  const char* const key = parameters != nullptr ? "rope_parameters" : "rope_scaling";
  if (!found->is_object()) Reader::bad(key, "is not an object");
  const Reader rope(*found);
  refuse_partial_rotation(rope);
  const double theta = rope.positive("rope_theta", config.rope_theta);
  if (in.find("rope_theta") != nullptr && theta != config.rope_theta)
    Reader::bad("rope_theta", cat("is another one inside \"", key, '"'));
  config.rope_theta = theta;
  config.rope_scaling = read_scaling(*found, config.max_position);
  const Json* outside = in.find("original_max_position_embeddings");
  if (config.rope_scaling && outside != nullptr && *outside != config.rope_scaling->original_max_position)
    Reader::bad("original_max_position_embeddings", cat("is another one inside \"", key, '"'));
}

float read_eps(const Reader& in) {
  const auto eps = static_cast<float>(in.positive("rms_norm_eps", 1e-6));
  if (!(eps > 0.0f) || !std::isfinite(eps)) Reader::bad("rms_norm_eps", "is not a positive binary32");
  return eps;
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

void read_special_ids(const Reader& in, Config& config) {
  config.bos = static_cast<std::int32_t>(in.integer("bos_token_id", -1, -1, kMaxVocab - 1));
  config.eos = read_eos(in.find("eos_token_id"), "config.json");
}

void read_heads(const Reader& in, const Family& family, Config& c) {
  c.heads = static_cast<int>(in.integer("num_attention_heads", 32, 1, kMaxWidth));
  const bool class_decides = family.kv_heads > 0 && !in.has("num_key_value_heads");
  c.kv_heads = static_cast<int>(
      in.integer("num_key_value_heads", class_decides ? family.kv_heads : c.heads, 1, kMaxWidth));
  if (in.find("head_dim") == nullptr && family.head_dim == 0 && c.hidden % c.heads != 0)
    Reader::bad("num_attention_heads", "does not divide \"hidden_size\"");
  c.head_dim = static_cast<int>(
      in.integer("head_dim", family.head_dim > 0 ? family.head_dim : c.hidden / c.heads, 1, kMaxWidth));
  if (std::int64_t{c.heads} * c.head_dim > kMaxWidth) Reader::bad("head_dim", "makes attention too wide");
}

void check_heads(const Config& c) {
  if (c.heads % c.kv_heads != 0)
    Reader::bad("num_key_value_heads",
                cat("is ", c.kv_heads, ", which does not divide the ", c.heads, " heads"));
  if (c.head_dim % 2 != 0) Reader::bad("head_dim", cat("is ", c.head_dim, ", which RoPE cannot halve"));
}

}  // namespace

Config Config::parse(std::string_view config_json) {
  const Json json = within("config.json", [&] { return parse_json(config_json, {.max_bytes = 1 << 20}); });
  if (!json.is_object()) fail(Fault::kEvidence, "config.json: not a JSON object");
  const Reader in(json);
  const Family& family = read_family(in);
  refuse_unsupported(in);
  refuse_window(in, family);
  Config c;
  c.model_type = family.model_type;
  c.qkv_bias = family.qkv_bias;
  c.head_norms = family.head_norms;
  c.vocab = in.integer("vocab_size", family.vocab, 1, kMaxVocab);
  c.hidden = in.integer("hidden_size", 4096, 1, kMaxWidth);
  c.intermediate = in.integer("intermediate_size", family.intermediate, 1, kMaxIntermediate);
  c.layers = static_cast<int>(in.integer("num_hidden_layers", 32, 1, kMaxLayers));
  read_heads(in, family, c);
  c.max_position = in.integer("max_position_embeddings", family.max_position, 1, kMaxPosition);
  c.rms_eps = read_eps(in);
  c.tied = in.flag("tie_word_embeddings", false);
  c.initializer_range = in.positive("initializer_range", 0.02);
  if (c.initializer_range > 1.0) Reader::bad("initializer_range", "is above 1");
  read_rope(in, c);
  read_special_ids(in, c);
  check_heads(c);
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
  return {.biases = config.qkv_bias, .adapters = recipe.is_lora()};
}

namespace {

TensorSpec spec(std::string name, Shape shape) {
  return {std::move(name), DType::kF32, std::move(shape)};
}

std::vector<TensorSpec> layer_tensors(const Config& c, const std::string& at) {
  const std::int64_t q = std::int64_t{c.heads} * c.head_dim, kv = std::int64_t{c.kv_heads} * c.head_dim;
  std::vector<TensorSpec> list = {spec(at + "input_layernorm.weight", {c.hidden})};
  for (const auto& [name, width] : {std::pair("q_proj", q), {"k_proj", kv}, {"v_proj", kv}}) {
    list.push_back(spec(cat(at, "self_attn.", name, ".weight"), {width, c.hidden}));
    if (c.qkv_bias) list.push_back(spec(cat(at, "self_attn.", name, ".bias"), {width}));
  }
  list.push_back(spec(at + "self_attn.o_proj.weight", {c.hidden, q}));
  if (c.head_norms) {
    list.push_back(spec(at + "self_attn.q_norm.weight", {c.head_dim}));
    list.push_back(spec(at + "self_attn.k_norm.weight", {c.head_dim}));
  }
  list.push_back(spec(at + "post_attention_layernorm.weight", {c.hidden}));
  list.push_back(spec(at + "mlp.gate_proj.weight", {c.intermediate, c.hidden}));
  list.push_back(spec(at + "mlp.up_proj.weight", {c.intermediate, c.hidden}));
  list.push_back(spec(at + "mlp.down_proj.weight", {c.hidden, c.intermediate}));
  return list;
}

}  // namespace

std::vector<TensorSpec> unit_tensors(const Config& c, int unit) {
  AFTUNE_CHECK(unit >= 0 && unit <= c.layers + 1);
  if (unit == 0) return {spec("model.embed_tokens.weight", {c.vocab, c.hidden})};
  if (unit == c.layers + 1) {
    std::vector<TensorSpec> head = {spec("model.norm.weight", {c.hidden})};
    if (!c.tied) head.push_back(spec("lm_head.weight", {c.vocab, c.hidden}));
    return head;
  }
  return layer_tensors(c, cat("model.layers.", unit - 1, '.'));
}

std::vector<TensorSpec> all_tensors(const Config& config) {
  std::vector<TensorSpec> all;
  for (int unit = 0; unit <= config.layers + 1; ++unit)
    for (TensorSpec& spec : unit_tensors(config, unit)) all.push_back(std::move(spec));
  return all;
}

}  // namespace aftune::model
