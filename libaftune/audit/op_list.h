#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "audit/challenge.h"
#include "hash/merkle.h"
#include "model/op_observer.h"
#include "seal/keys.h"
#include "seal/note.h"

namespace aftune::audit {

std::string_view name(model::OpKind kind);               ///< "linear-grad-weight"
model::OpKind op_kind_from_name(std::string_view name);  ///< Error{kEvidence}

/// What the provider says of one operation: plain BLAKE3 of each tensor that goes in and comes out.
struct OpEntry {
  std::int64_t step = 0;
  std::int64_t row = -1;  ///< of the step's batch; -1: of the step as a whole
  model::OpKind kind{};
  std::string at;           ///< the parameter, or what is cut and joined, as in model::Op
  std::int64_t tokens = 0;  ///< rows of the matrices
  std::vector<Digest> in, out;
  friend bool operator==(const OpEntry&, const OpEntry&) = default;
};
/// Canonical JSON, which is a leaf of the list's tree.
std::string to_text(const OpEntry& entry);
OpEntry parse_op_entry(std::string_view text);  ///< strict. Error{kEvidence}
/// "cell 1,3 step 7 row 2 linear model.layers.0.mlp.up_proj.weight"
std::string where(const Cell& cell, const OpEntry& entry);

/// What the provider signs of an op list. With its index, an entry's proof makes it the provider's word.
struct OpListHead {
  Cell cell;
  std::int64_t count = 0;
  Digest root;  ///< RFC 6962, over the entries' texts
};

/// All operations of one cell, in the order in which they are run (docs/audit.ops.md).
struct OpList {
  Cell cell;
  std::vector<OpEntry> entries;
  std::string signature;  ///< signed note over the head

  hash::MerkleTree tree() const;
  OpListHead head() const;
};
/// Canonical JSON and LF (schemas/ops.json).
std::string to_text(const OpList& list);
inline constexpr std::size_t kMaxOpListBytes = std::size_t{1} << 28;
OpList parse_op_list(std::string_view text);  ///< strict. Error{kEvidence}

/// The signed note that makes an op list the provider's: "aftune-ops/1", the checkpoint's origin, size and
/// root, the cell, the number of operations and their root, a line each.
std::string sign_ops(const OpListHead& head, const seal::Checkpoint& checkpoint, const seal::SecretKey& key);
/// Whether `note` is that, under this key. False for anything else.
[[nodiscard]] bool is_ops_signature(std::string_view note, const OpListHead& head,
                                    const seal::Checkpoint& checkpoint, const seal::PublicKey& key);

}  // namespace aftune::audit
