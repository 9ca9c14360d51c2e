#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "audit/evidence.h"
#include "audit/op_list.h"
#include "audit/verdict.h"
#include "base/accelerator.h"
#include "base/files.h"
#include "seal/keys.h"
#include "tensor/tensor.h"
#include "trace/segment.h"

namespace aftune::audit {

/// A proof that one operation of a signed op list has another result than the list says, or is an end that
/// the log contradicts: a file of the segment form with this index and, but of an end, the operation's inputs
/// (docs/audit.ops.md, "Proof").
inline constexpr const char* kProofIndex = "/proof/index";
std::string proof_input_dataset(std::size_t i);  ///< "/proof/inputs/<i>"

struct OpProof {
  std::string note;                ///< the run's checkpoint, verbatim
  OpListHead head;                 ///< of the list
  std::string signature;           ///< the provider's, over the head and the checkpoint
  std::int64_t index = 0;          ///< of the entry in the list
  std::string entry;               ///< its text
  std::vector<Digest> path;        ///< its inclusion proof
  std::vector<OpenedLeaf> leaves;  ///< of the log: the manifest and the entry's step
};
/// Canonical JSON (schemas/proof.json).
std::string to_text(const OpProof& proof);
OpProof parse_op_proof(std::string_view text);  ///< strict. Error{kEvidence}
/// The index of a proof file. Throws Error{kEvidence}.
OpProof read_op_proof(const trace::SegmentReader& reader);

/// Writes the file with these inputs. Throws Error{kUsage} if it exists.
void write_op_proof(const fs::path& path, const OpProof& proof, const std::vector<Bytes>& inputs,
                    const std::vector<TensorSpec>& specs);

struct ProofOptions {
  fs::path proof;
  seal::PublicKey key;
  int threads = 1;
  Accelerator* accelerator = nullptr;  ///< computes in place of the threads
  std::uint64_t max_memory = 0;        ///< bytes; 0: what the machine has
  trace::Origin origin = trace::Origin::kForeign;
};

/// Runs the operation of a proof file again, unless it is an end that the log contradicts. REJECT `op` if
/// that is so, or what comes out is not what the provider signed; else INCOMPLETE: whatever is wrong with the
/// file says nothing about the provider, who has not made it.
Verdict check_op_proof(const ProofOptions& options);

}  // namespace aftune::audit
