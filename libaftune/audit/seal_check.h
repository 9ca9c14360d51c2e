#pragma once

#include <optional>
#include <string>
#include <vector>

#include "audit/findings.h"
#include "audit/verify.h"
#include "hash/merkle.h"
#include "seal/note.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune::audit {

/// A checkpoint whose signature has been checked.
struct Sealed {
  std::string text;  ///< the signed note, verbatim
  seal::Checkpoint checkpoint;
};

/// `signature`: reads the checkpoint (the auditor's copy or the trace's own) and checks it under the key, and
/// that its origin is this key's. nullopt, with a reason, if it does not hold; nothing else of the trace is
/// then worth looking at.
std::optional<Sealed> check_signature(const VerifyOptions& options, Findings& findings);

/// The same of a note whose text is at hand.
std::optional<Sealed> check_note_text(const std::string& text, const seal::PublicKey& key,
                                      Findings& findings);

/// `log-root`: reads log.jsonl and compares it with the checkpoint. nullopt, with a reason that names the
/// first line that gives itself away, or else the file. Other signed notes of this run that are at hand (the
/// challenge's, and the trace's own beside the auditor's) are compared too: two that no one log continues are
/// `equivocation`.
struct SealedLog {
  std::vector<std::string> leaves;
  hash::MerkleTree tree;      ///< of all lines at hand
  std::int64_t unsealed = 0;  ///< lines that follow, of a log that may go on
};
/// A run's log ends with its checkpoint; one that goes on is sealed again and again, and the lines after the
/// checkpoint are left out.
enum class Growth { kEnded, kGoesOn };
/// Whether the log begins with what the checkpoint seals.
[[nodiscard]] bool extends(const hash::MerkleTree& tree, const seal::Checkpoint& checkpoint);
/// The log up to a checkpoint that it extends.
SealedLog cut_to(trace::Log log, hash::MerkleTree tree, const seal::Checkpoint& checkpoint);
std::optional<SealedLog> check_log_root(const VerifyOptions& options, const Sealed& sealed,
                                        Findings& findings, Growth growth = Growth::kEnded);

/// The files of the trace directory: every segment that the grid gives is there, no other one is, and
/// manifest.tlog-proof, if there, proves the first leaf of this log.
void check_files(const trace::Layout& layout, const record::Grid& grid, const Sealed& sealed,
                 const hash::MerkleTree& tree, Findings& findings);

}  // namespace aftune::audit
