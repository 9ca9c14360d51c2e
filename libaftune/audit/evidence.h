#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/challenge.h"
#include "base/json.h"
#include "record/grid.h"
#include "seal/keys.h"

namespace aftune::audit {

/// Hashes of a proof: a tree of 2^64 leaves has no longer one.
inline constexpr std::size_t kMaxProof = 64;

/// The answer to one challenge is one file of the segment form (docs/trace.md, "Segments"). Beside the
/// tensors it holds an index, which says what they are, and, if the provider signed it, a signed note over
/// the index (docs/audit.md, "Evidence").
inline constexpr const char* kEvidenceIndex = "/evidence/index";
inline constexpr const char* kEvidenceSignature = "/evidence/signature";
/// "/state/<s>/<tensor>". Steps and boundaries have the paths that they have in a trace.
std::string evidence_state_dataset(std::int64_t s, const std::string& tensor);
/// "/rows/<i>/text": the bytes of row i of the data set; "/rows/<i>/proof": the hashes of its inclusion proof
/// in the data root, one after the other.
inline constexpr const char* kEvidenceRows = "/rows/";
std::string evidence_row_dataset(std::int64_t row);
std::string evidence_row_proof_dataset(std::int64_t row);
/// The row that a dataset of either name is of; nullopt for any other name.
std::optional<std::int64_t> row_of_dataset(std::string_view path);
/// "/final/<tensor>": a parameter of the last state, F32.
inline constexpr const char* kEvidenceFinal = "/final/";
std::string evidence_final_dataset(const std::string& tensor);
/// tokenizer.json, by which rows become tokens.
inline constexpr const char* kEvidenceTokenizer = "/tokenizer";
/// Of a row: no longer one is JSON that training reads.
inline constexpr std::int64_t kMaxRowBytes = std::int64_t{64} << 20;

/// A leaf of the log with its proof.
struct OpenedLeaf {
  std::int64_t index = 0;
  std::string text;
  std::vector<Digest> proof;
};

Json to_json(const OpenedLeaf& leaf);
OpenedLeaf opened_leaf_from_json(const Json& json);  ///< strict. Error{kEvidence}

/// What the answer took.
struct OpeningCost {
  std::int64_t replayed_steps = 0;    ///< by the whole engine
  std::int64_t replayed_tokens = 0;   ///< in these steps
  std::uint64_t stored_bytes = 0;     ///< of tensors that were in the trace
  std::uint64_t recreated_bytes = 0;  ///< of tensors that were made again
  friend bool operator==(const OpeningCost&, const OpeningCost&) = default;
};

struct EvidenceIndex {
  std::string note;         ///< the challenge's
  Digest challenge;         ///< BLAKE3 of the challenge's text
  std::vector<Cell> cells;  ///< those answered
  std::vector<OpenedLeaf> leaves;
  std::map<std::string, Digest> datasets;  ///< BLAKE3 of each, by path, but for index and signature
  std::map<std::string, Digest> salts;     ///< by record::to_text; in a run with hiding only
  OpeningCost cost;
};
/// [block, step block]. Error{kEvidence} for anything else.
Cell cell_from_json(const Json& json);
/// Canonical JSON (schemas/evidence.json).
std::string to_text(const EvidenceIndex& index);
EvidenceIndex parse_evidence_index(std::string_view text);  ///< strict. Error{kEvidence}

/// The signed note that makes evidence the provider's: "aftune-evidence/1", the run's origin and BLAKE3 of
/// the index, a line each.
std::string sign_evidence(std::string_view index, const std::string& origin, const seal::SecretKey& key);
/// Whether `note` is that, under this key. False for anything else.
[[nodiscard]] bool is_evidence_signature(std::string_view note, std::string_view index,
                                         const std::string& origin, const seal::PublicKey& key);

/// What the cells need, derived from the grid alone: opener and verifier derive it apart.
/// Leaves, ascending: manifest, first and last state, the cells' states and steps with the step before,
/// final.
std::vector<std::int64_t> leaves_of_cells(const record::Grid& grid, const std::vector<Cell>& cells);

}  // namespace aftune::audit
