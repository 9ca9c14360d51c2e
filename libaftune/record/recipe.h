#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace aftune::record {

/// Everything of a training job that decides a bit, besides model, data and tokenizer. Reals are binary64,
/// parsed once from the user's decimal; `numerics` code rounds them where docs/numerics.md says so.
struct Recipe {
  std::string method = "full";  ///< full | lora
  std::int64_t lora_rank = 0;   ///< these four of method lora only, else as here
  double lora_alpha = 0;
  double lora_dropout = 0;        ///< part of an adapter's inputs that a step drops
  std::string lora_targets = "";  ///< names of kLoraTargets, in their order, between commas
  std::int64_t steps = 0;
  std::int64_t batch_size = 1;  ///< rows (packed rows when packing) per optimizer step
  std::int64_t seq_len = 0;     ///< tokens a row is cut to
  bool packing = false;
  bool eos = true;  ///< append eos_token_id to each row
  std::uint64_t seed = 0;
  std::string optimizer = "adamw";  ///< adamw | sgd
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double momentum = 0.0;  ///< sgd only
  double weight_decay = 0.0;
  bool decay_all = false;  ///< decay tensors of rank 1 too
  double lr = 1e-4;
  std::string schedule = "constant";  ///< constant | linear | cosine
  std::int64_t warmup_steps = 0;
  double clip_norm = 0.0;  ///< 0: no clipping
  int grad_shards = 1;
  bool init = false;  ///< state 0 was drawn from the seed, not read from base weights

  bool is_lora() const { return method == "lora"; }
  friend bool operator==(const Recipe&, const Recipe&) = default;
};

/// The products that may have an adapter; a layer has some of them. Values are on disk: never renumber.
inline constexpr std::string_view kLoraTargets[] = {"q", "k", "v", "o", "gate", "up", "down", "qkv"};
/// Which of them a list like "down,q" names, in any order. Error{kUsage} for another name, one that is there
/// twice, or none.
std::vector<bool> lora_targets(std::string_view list);
/// The one text for them: "q,down".
std::string lora_targets_text(const std::vector<bool>& targets);

Json to_json(const Recipe& recipe);
/// Strict; refuses values that no run could have (non-finite lr, zero steps, unknown names).
/// Error{kEvidence}.
Recipe recipe_from_json(const Json& json);

}  // namespace aftune::record
