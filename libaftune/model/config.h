#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/ops.h"
#include "model/image_config.h"
#include "record/recipe.h"
#include "tensor/tensor.h"

namespace aftune::model {

struct Architecture;
extern const Architecture kLlama, kViT, kDinov2, kDinov2SwiGlu;

struct RopeScaling {  ///< rope_type "llama3"
  double factor = 1, low_freq_factor = 1, high_freq_factor = 4;
  std::int64_t original_max_position = 8192;
};

/// What we use of a Hugging Face config.json of a family that we compute (family.h). The verbatim text is
/// what the manifest binds and what the verifier parses; both spellings (transformers 4 and 5) are read.
struct Config {
  std::string model_type;
  const Architecture* architecture = &kLlama;  ///< that of the family
  std::int64_t vocab = 0, hidden = 0, intermediate = 0;
  int layers = 0, heads = 0, kv_heads = 0, head_dim = 0;
  std::int64_t max_position = 2048;
  float norm_eps = 1e-6f;
  double rope_theta = 10000;
  std::optional<RopeScaling> rope_scaling;
  bool tied = false;
  bool qkv_bias = false;                              ///< Family::qkv_bias
  bool head_norms = false;                            ///< Family::head_norms
  kernels::GeluForm gelu = kernels::GeluForm::kTanh;  ///< of architectures that have one
  double initializer_range = 0.02;
  /// Of a classifier of images: it has no tokens, `vocab` is the number of its classes, and max_position that
  /// of an image's positions.
  std::optional<ImageConfig> images;
  float layer_scale = 1;    ///< what layer scale begins as
  bool mask_token = false;  ///< whether the embedding has one, which a classifier makes no use of
  std::int32_t bos = -1;
  std::vector<std::int32_t> eos;  ///< first one is appended to rows

  /// Throws Error{kEvidence} with the key's name for anything unknown that would change the arithmetic:
  /// another model_type, activation, rope type, other biases, sliding window, quantisation.
  static Config parse(std::string_view config_json);
};

/// The ids that end an answer: eos_token_id of config.json and of generation_config.json, whose text is "" if
/// the model has none. Either may name ids that the other does not (Llama-3-Instruct). Throws
/// Error{kEvidence} if the text is no JSON object or its eos_token_id no id or list of ids.
std::set<std::int32_t> eos_ids(const Config& config, std::string_view generation_config_json);

/// What model and recipe need besides the ops that all runs use.
kernels::OpUses op_uses(const Config& config, const record::Recipe& recipe = {});

/// Tensors of unit u (0 embed, 1..layers, layers + 1 head) in our fixed order, all F32, by Hugging Face's
/// names. A tied head holds the final norm only.
std::vector<TensorSpec> unit_tensors(const Config& config, int unit);
/// Over all units, in order.
std::vector<TensorSpec> all_tensors(const Config& config);

}  // namespace aftune::model
