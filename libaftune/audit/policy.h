#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/attacker.h"
#include "audit/verdict.h"
#include "base/json.h"
#include "record/leaves.h"
#include "record/salts.h"

namespace aftune::audit {

/// An exact value, or bounds that are both allowed.
struct Range {
  std::int64_t least = 0;
  std::int64_t most = kMaxJsonInteger;
  friend bool operator==(const Range&, const Range&) = default;
};

/// The least that an audit must be worth: P(detect) of a stated attacker, and cells of each stratum.
struct WantedPlan {
  double confidence = 0;
  Attacker attacker;
  Plan least;  ///< its strata; `all` and `uniform` are not used
};

struct WantedBeacon {
  std::string source;  ///< in words: which beacon
  std::int64_t round = 0;
};

/// The client's own statement of what was agreed (schemas/policy.json). Every member is optional but the
/// version; what is not pinned is listed as taken on the provider's word.
struct Policy {
  Digest digest;  ///< BLAKE3 of the policy's text; the verdict states it
  std::optional<std::string> vkey;
  std::optional<std::string> nonce;
  std::optional<std::string> run;
  bool run_from_nonce = false;  ///< the run id is run_id_of() this policy; needs `nonce`
  std::optional<std::string> software;
  std::optional<Range> created;        ///< unix seconds
  std::optional<Digest> base_root;     ///< record::tensor_root of the base tensors
  std::optional<Digest> adapter_root;  ///< the same of the adapters that a run goes on from
  std::optional<Digest> config;        ///< BLAKE3 of config.json
  std::optional<Digest> tokenizer;
  std::optional<Digest> template_;  ///< BLAKE3 of the chat template, of "" if there is none
  std::optional<Digest> images;     ///< record::digest_of what normalises pixels
  std::optional<Digest> data_root;
  std::optional<Range> data_rows;
  std::optional<Digest> eval_root;
  std::optional<Range> eval_rows;  ///< 0: no evaluation set
  std::optional<Range> eval_every;
  /// Recipe members by name: an exact value, or {"min":..,"max":..}. Reals as decimals, parsed to binary64
  /// once and compared there; the seed also as 16 hex digits.
  std::map<std::string, Json> recipe;
  std::optional<std::vector<std::string>> numerics;  ///< profiles that are allowed
  std::optional<std::int64_t> max_layers_per_block;
  std::optional<std::int64_t> max_steps_per_block;
  std::optional<std::int64_t> min_cells;               ///< a verdict over fewer distinct cells is INCOMPLETE
  std::optional<WantedPlan> plan;                      ///< a verdict over a weaker plan is INCOMPLETE
  std::optional<std::vector<std::string>> seed_kinds;  ///< that the challenge may have
  std::optional<Digest> seed_commitment;               ///< BLAKE3 of the seed; needs run_from_nonce
  std::optional<WantedBeacon> beacon;                  ///< whose value the seed comes from
  std::optional<bool> hiding;                          ///< whether published digests are salted
  std::vector<std::string> witnesses;                  ///< vkeys
  int witness_threshold = 0;                           ///< how many of them must have cosigned
  std::optional<std::int64_t> max_blocks_disclosed;    ///< layer blocks that audits may open
  bool require_final_params = false;  ///< the export is to be compared in full with the last state
};
Policy parse_policy(std::string_view text);  ///< strict. Error{kUsage}

/// What run_from_nonce asks for: BLAKE3 of the nonce's bytes and the policy's digest, cut to 16 bytes, as
/// hex. Bound so, a run belongs to one order of one client. Precondition: the policy has a nonce.
std::string run_id_of(const Policy& policy);

/// Contradictions of manifest and policy, one reason each. `salts` are asked for in a run with hiding, whose
/// data roots are salted; a root that is pinned and whose salt is not at hand is `absent`.
std::vector<Reason> check_policy(const Policy& policy, const record::Manifest& manifest,
                                 const record::Salts* salts = nullptr);
/// What of the manifest nothing pins, and is taken on the provider's word: all of it without a policy.
std::vector<std::string> unpinned(const Policy* policy);

}  // namespace aftune::audit
