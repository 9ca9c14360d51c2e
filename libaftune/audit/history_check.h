#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/findings.h"
#include "audit/known_notes.h"
#include "audit/seal_check.h"
#include "audit/verify.h"
#include "hash/merkle.h"
#include "seal/keys.h"
#include "seal/note.h"

// One run has one history: the checkpoint that is audited against every other one at hand (docs/audit.md,
// "Checkpoints beside the one audited").
namespace aftune::audit {

/// Why the notes and the proof do not show that the log of `new_note` begins with that of `old_note`, both
/// signed by `key`; empty if they do. Throws Error{kEvidence} if a note is malformed.
std::string check_extends(std::string_view old_note, std::string_view new_note,
                          const std::vector<Digest>& proof, const seal::PublicKey& key);

/// Whether at least `threshold` of the witnesses cosigned the note; if not, `absent` at "witnesses". Lines by
/// a witness that do not verify are named and not counted. Throws Error{kUsage} if a vkey is no witness's, if
/// two have one key, if one is the provider's own, or if there are fewer than the threshold.
bool check_witnesses(std::string_view note, const std::vector<std::string>& vkeys, int threshold,
                     const seal::PublicKey& provider, Findings& findings);

/// The other checkpoints of the run that this auditor holds, and what it remembers.
class History {
 public:
  /// Locks --known; reads --since. Throws Error{kUsage} if either is unusable: they are the auditor's own.
  explicit History(const VerifyOptions& options, Growth growth = Growth::kEnded);

  /// What the notes say without the log: two roots of one size, of a log that has ended a larger one than the
  /// one audited, a consistency proof that fails, cosignatures that are missing.
  void check_notes(const Sealed& sealed, Findings& findings);
  /// Whether the log, which begins with what is sealed, is that of every other one; of one that is larger
  /// than the log at hand nothing can be said.
  void check_log(const Sealed& sealed, const hash::MerkleTree& tree, Findings& findings) const;
  /// Where the log is not at hand: `absent` unless a proof has shown that it continues --since.
  void check_without_log(Findings& findings) const;
  void say_what_was_not_checked(Findings& findings) const;
  /// Adds the judged note to --known, whatever the verdict is: what was signed stays signed.
  void remember(const Sealed& sealed);

 private:
  struct Other {
    std::string where;
    seal::Checkpoint checkpoint;
  };
  void read_since();
  void hold_against(const Other& other, const Sealed& sealed, Findings& findings);
  void check_proof(const Sealed& sealed, Findings& findings);
  void say_not_shown(const Other& other, Findings& findings) const;

  const VerifyOptions& options_;
  const Growth growth_;
  std::optional<KnownNotes> known_;
  std::optional<seal::Checkpoint> since_;
  std::vector<Other> others_;  // to be found in the log
  bool witnessed_ = false;
  bool since_proved_ = false;
};

}  // namespace aftune::audit
