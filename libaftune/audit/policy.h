#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/verdict.h"
#include "base/json.h"
#include "record/leaves.h"

namespace aftune::audit {

/// The client's own statement of what was agreed (schemas/policy.json). Every member is optional but the
/// version; what is not pinned is listed as taken on the provider's word.
struct Policy {
  Digest digest;  ///< BLAKE3 of the policy's text; the verdict states it
  std::optional<std::string> vkey;
  std::optional<std::string> nonce;
  std::optional<std::string> run;
  std::optional<Digest> base_root;  ///< record::tensor_root of the base tensors
  std::optional<Digest> config;     ///< BLAKE3 of config.json
  std::optional<Digest> tokenizer;
  std::optional<Digest> data_root;
  std::optional<std::int64_t> data_rows;
  /// Recipe members by name: an exact value, or {"min":..,"max":..}. Reals as decimals, parsed to binary64
  /// once and compared there; the seed also as 16 hex digits.
  std::map<std::string, Json> recipe;
  std::optional<std::vector<std::string>> numerics;  ///< profiles that are allowed
  std::optional<std::int64_t> max_layers_per_block;
  std::optional<std::int64_t> max_steps_per_block;
  std::optional<std::int64_t> min_cells;  ///< a verdict over fewer distinct cells is INCOMPLETE
};
Policy parse_policy(std::string_view text);  ///< strict. Error{kUsage}

/// Contradictions of manifest and policy, one reason each.
std::vector<Reason> check_policy(const Policy& policy, const record::Manifest& manifest);
/// What of the manifest nothing pins, and is taken on the provider's word: all of it without a policy.
std::vector<std::string> unpinned(const Policy* policy);

}  // namespace aftune::audit
