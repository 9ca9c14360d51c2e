#pragma once

#include <string>
#include <string_view>

#include "audit/verdict.h"
#include "audit/verify.h"
#include "record/serving.h"

namespace aftune::audit {

/// Whether what is to be verified is of a serving period, by its first leaf as it is at hand. Of a trace or
/// evidence that cannot be read so far, false: the audit of a run then says what is wrong.
bool is_of_serving(const VerifyOptions& options);

/// verify() of a serving period. A trace needs options.model: the weights are not in it.
Verdict verify_serving(const VerifyOptions& options);

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

}  // namespace aftune::audit
