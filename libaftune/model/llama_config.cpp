// config.json of Llama and the families that share its decoder.

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "model/config_reader.h"
#include "model/llama.h"

namespace aftune::model {
namespace {

void refuse_window(const ConfigReader& in, const Family& family) {
  switch (family.window) {
    case Family::Window::kSwitch:
      if (in.flag("use_sliding_window", false))
        ConfigReader::bad("use_sliding_window", "is true; not supported");
      return;
    case Family::Window::kMember:
      if (!in.has("sliding_window"))
        ConfigReader::bad("sliding_window",
                          "is not there, which means a window of 4096; only null is supported");
      break;
    case Family::Window::kNone:
      break;
  }
  if (in.find("sliding_window") != nullptr) ConfigReader::bad("sliding_window", "is set; not supported");
}

void refuse_unsupported(const ConfigReader& in) {
  if (const std::string act = in.text("hidden_act", "silu"); act != "silu")
    ConfigReader::bad("hidden_act", cat("is \"", act, "\"; only \"silu\" is supported"));
  for (const char* key : {"attention_bias", "mlp_bias"})
    if (in.flag(key, false)) ConfigReader::bad(key, "is true; biases are not supported");
  if (const Json* tp = in.find("pretraining_tp"); tp != nullptr && *tp != 1)
    ConfigReader::bad("pretraining_tp", "is not 1; not supported");
  if (const Json* types = in.find("layer_types"); types != nullptr) {
    const bool full = types->is_array() && std::all_of(types->begin(), types->end(),
                                                       [](const Json& t) { return t == "full_attention"; });
    if (!full) ConfigReader::bad("layer_types", "names another attention than \"full_attention\"");
  }
}

RopeScaling read_llama3(const ConfigReader& rope, std::int64_t max_position) {
  for (const char* key : {"factor", "low_freq_factor", "high_freq_factor"})
    if (rope.find(key) == nullptr) ConfigReader::bad(key, "is missing, which rope_type \"llama3\" needs");
  RopeScaling s;
  s.factor = rope.positive("factor", 0);
  s.low_freq_factor = rope.positive("low_freq_factor", 0);
  s.high_freq_factor = rope.positive("high_freq_factor", 0);
  if (s.high_freq_factor <= s.low_freq_factor)
    ConfigReader::bad("high_freq_factor", "is not above \"low_freq_factor\"");
  s.original_max_position = rope.integer("original_max_position_embeddings", max_position, 1, kMaxPosition);
  return s;
}

std::optional<RopeScaling> read_scaling(const Json& json, std::int64_t max_position) {
  const ConfigReader rope(json);
  for (const auto& [key, value] : json.items())
    if (value.is_structured())
      ConfigReader::bad(key.c_str(), "is nested; one RoPE for all layers is supported");
  const std::string type = rope.text("rope_type", rope.text("type", "default").c_str());
  if (type == "default") return std::nullopt;
  if (type != "llama3")
    ConfigReader::bad("rope_type", cat("is \"", type, "\"; only \"default\" and \"llama3\" are supported"));
  return read_llama3(rope, max_position);
}

void refuse_partial_rotation(const ConfigReader& in) {
  if (in.real("partial_rotary_factor", 1.0) != 1.0)
    ConfigReader::bad("partial_rotary_factor", "is not 1; not supported");
}

// transformers 4 writes rope_theta beside rope_scaling, transformers 5 both inside rope_parameters.
// ConfigReaders differ in which of two contradicting statements they believe, so there may be none.
void read_rope(const ConfigReader& in, Config& config) {
  config.rope_theta = in.positive("rope_theta", 10000);
  refuse_partial_rotation(in);
  const Json *scaling = in.find("rope_scaling"), *parameters = in.find("rope_parameters");
  if (scaling != nullptr && parameters != nullptr && *scaling != *parameters)
    ConfigReader::bad("rope_scaling", "contradicts \"rope_parameters\"");
  const Json* found = parameters != nullptr ? parameters : scaling;
  if (found == nullptr) return;
  const char* const key = parameters != nullptr ? "rope_parameters" : "rope_scaling";
  if (!found->is_object()) ConfigReader::bad(key, "is not an object");
  const ConfigReader rope(*found);
  refuse_partial_rotation(rope);
  const double theta = rope.positive("rope_theta", config.rope_theta);
  if (in.find("rope_theta") != nullptr && theta != config.rope_theta)
    ConfigReader::bad("rope_theta", cat("is another one inside \"", key, '"'));
  config.rope_theta = theta;
  config.rope_scaling = read_scaling(*found, config.max_position);
  const Json* outside = in.find("original_max_position_embeddings");
  if (config.rope_scaling && outside != nullptr && *outside != config.rope_scaling->original_max_position)
    ConfigReader::bad("original_max_position_embeddings", cat("is another one inside \"", key, '"'));
}

void read_heads(const ConfigReader& in, const Family& family, Config& c) {
  c.heads = static_cast<int>(in.integer("num_attention_heads", 32, 1, kMaxWidth));
  const bool class_decides = family.kv_heads > 0 && !in.has("num_key_value_heads");
  c.kv_heads = static_cast<int>(
      in.integer("num_key_value_heads", class_decides ? family.kv_heads : c.heads, 1, kMaxWidth));
  if (in.find("head_dim") == nullptr && family.head_dim == 0 && c.hidden % c.heads != 0)
    ConfigReader::bad("num_attention_heads", "does not divide \"hidden_size\"");
  c.head_dim = static_cast<int>(
      in.integer("head_dim", family.head_dim > 0 ? family.head_dim : c.hidden / c.heads, 1, kMaxWidth));
  if (std::int64_t{c.heads} * c.head_dim > kMaxWidth)
    ConfigReader::bad("head_dim", "makes attention too wide");
}

void check_heads(const Config& c) {
  if (c.heads % c.kv_heads != 0)
    ConfigReader::bad("num_key_value_heads",
                      cat("is ", c.kv_heads, ", which does not divide the ", c.heads, " heads"));
  if (c.head_dim % 2 != 0) ConfigReader::bad("head_dim", cat("is ", c.head_dim, ", which RoPE cannot halve"));
}

}  // namespace

void read_llama_config(const ConfigReader& in, const Family& family, Config& c) {
  refuse_unsupported(in);
  refuse_window(in, family);
  c.qkv_bias = family.qkv_bias;
  c.head_norms = family.head_norms;
  c.vocab = in.integer("vocab_size", family.vocab, 1, kMaxVocab);
  c.hidden = in.integer("hidden_size", 4096, 1, kMaxWidth);
  c.intermediate = in.integer("intermediate_size", family.intermediate, 1, kMaxIntermediate);
  c.layers = static_cast<int>(in.integer("num_hidden_layers", 32, 1, kMaxLayers));
  read_heads(in, family, c);
  c.max_position = in.integer("max_position_embeddings", family.max_position, 1, kMaxPosition);
  c.norm_eps = in.epsilon("rms_norm_eps", 1e-6);
  c.tied = in.flag("tie_word_embeddings", false);
  read_rope(in, c);
  check_heads(c);
}

}  // namespace aftune::model
