#pragma once

#include <string>
#include <string_view>

#include "record/serving.h"
#include "seal/keys.h"
#include "trace/layout.h"

namespace aftune::audit {

/// The proof that served weights are those of a training run: the run's `final` leaf, its proof (C2SP
/// tlog-proof, with the note) and the key of that log.
struct LineageProof {
  std::string vkey;
  std::string leaf;
  std::string proof;
};
std::string to_text(const LineageProof& lineage);   ///< canonical JSON and LF (schemas/lineage.json)
LineageProof parse_lineage(std::string_view text);  ///< strict. Error{kEvidence}
/// What a serving manifest may say of it. Error{kEvidence} if the leaf is not proved, or is no `final`.
record::Lineage lineage_of(const LineageProof& lineage, record::TensorList* exported);

/// That proof of a trace whose run has ended and is sealed by `key`. Throws Error{kUsage} if it is not so,
/// {kEvidence} if the log is not what the checkpoint seals.
LineageProof prove_lineage(const trace::Layout& layout, const seal::PublicKey& key);

}  // namespace aftune::audit
