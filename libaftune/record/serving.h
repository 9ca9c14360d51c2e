#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "record/leaves.h"
#include "record/salts.h"

namespace aftune::record {

/// The training run whose final weights are served: its log and the leaf that states them.
struct Lineage {
  std::string origin;
  std::int64_t size = 0;  ///< leaves of that log
  Digest root;
  std::int64_t index = 0;  ///< of its `final` leaf

  friend bool operator==(const Lineage&, const Lineage&) = default;
};

/// The first leaf of a serving period: everything that decides the bits of an answer besides the request.
struct ServingManifest {
  std::string run;                  ///< 16 bytes as 32 hex digits
  std::int64_t created = 0;         ///< unix seconds
  std::string software;             ///< "aftune 0.1.0"
  std::string config;               ///< config.json verbatim
  TensorList base;                  ///< the served tensors as on disk
  Digest tokenizer;                 ///< BLAKE3 of tokenizer.json
  std::string template_;            ///< the chat template verbatim, or ""
  std::vector<std::int32_t> eos;    ///< ids that end an answer, ascending
  std::int64_t default_tokens = 0;  ///< of an answer, where a request does not say
  std::int64_t most_tokens = 0;     ///< that a request may ask for
  std::int64_t layers_per_block = 1;
  std::string profile = "f32";   ///< numerics profile
  std::vector<std::string> ops;  ///< names and versions of the ops in use, sorted
  std::int64_t merge_delay = 0;  ///< seconds in which a checkpoint seals a leaf that was promised
  Digest hiding_key;             ///< secret_check of the run secret: request leaves are always salted
  std::optional<Lineage> lineage;
};

/// One answer: salted digests and counts only. A request for several answers has a leaf for each.
struct RequestLeaf {
  std::int64_t created = 0;  ///< unix seconds when the answer was whole
  std::int64_t prompt_tokens = 0;
  std::int64_t answer_tokens = 0;
  Digest request;                   ///< Role::kRequest
  Digest prompt;                    ///< Role::kPrompt
  Digest answer;                    ///< Role::kAnswer
  std::vector<Digest> activations;  ///< Role::kActivation, one per boundary
};

/// The last leaf of a serving period that was closed.
struct ServingFinal {
  std::int64_t answers = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t answer_tokens = 0;
};

/// What an answer was, as only the client and the provider know it.
struct Exchange {
  std::string endpoint;  ///< "batch", "chat" or "completions": how the request is to be read
  std::string request;   ///< the bytes that came
  std::int64_t ask = 0;  ///< which of the request's answers, from 0
  std::vector<std::int32_t> prompt;
  std::vector<std::int32_t> tokens;  ///< of the answer
  std::string text;
  std::string finish;  ///< "stop" or "length"
};
/// BLAKE3 of the bytes that came: b3sum of the request's body, or of its line without LF, agrees.
Digest request_digest(const Exchange& exchange);
/// BLAKE3 of the ids as i32, little-endian.
Digest prompt_digest(const Exchange& exchange);
/// BLAKE3 of canonical {"ask", "endpoint", "finish", "text", "tokens"}.
Digest answer_digest(const Exchange& exchange);

/// The leaf that speaks of an exchange at index `leaf`. `boundaries` are plain digests.
RequestLeaf publish(const Exchange& exchange, const std::vector<Digest>& boundaries, std::int64_t leaf,
                    std::int64_t created, const Salts& salts);

/// Canonical JSON of a leaf. Throws Error{kUsage} if it would not fit kMaxLeafBytes.
std::string to_leaf(const ServingManifest& m);
std::string to_leaf(const RequestLeaf& r);
std::string to_leaf(const ServingFinal& f);

/// Strict inverses. Throw Error{kEvidence}.
ServingManifest parse_serving_manifest(std::string_view leaf);
/// `boundaries` is how many there must be, or npos for any number.
RequestLeaf parse_request(std::string_view leaf, std::size_t boundaries = std::string_view::npos);
ServingFinal parse_serving_final(std::string_view leaf);

/// "manifest", "request", ...: the kind that a leaf states. Throws Error{kEvidence} if it is no
/// leaf at all.
std::string kind_of_leaf(std::string_view leaf);

/// One line of the journal, without LF, and back. The inverse is strict. Throws Error{kEvidence}.
std::string to_journal(std::int64_t leaf, const Exchange& exchange);
struct JournalLine {
  std::int64_t leaf = 0;
  Exchange exchange;
};
JournalLine parse_journal(std::string_view line);

/// The seed of a request that brings none: neither side can choose it alone, if the request has a nonce of
/// the client's. The first 8 bytes, little-endian, of BLAKE3 derive_key("aftune/serve-seed/1") over the leaf
/// hash of the serving leaf and the digest of the request.
std::uint64_t seed_of_request(const Digest& serving_leaf_hash, const Digest& request);

}  // namespace aftune::record
