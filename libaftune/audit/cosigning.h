#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "audit/known_notes.h"
#include "seal/keys.h"
#include "seal/note.h"

namespace aftune::audit {

/// What a witness is asked to cosign, and what it judges that by.
struct CosignRequest {
  std::string note;                                   ///< a signed checkpoint
  std::optional<seal::PublicKey> log_key;             ///< must have signed it
  std::optional<seal::ConsistencyProof> consistency;  ///< from what the witness cosigned last
  std::uint64_t time = 0;                             ///< seconds since 1970
};

struct Cosigned {
  seal::Checkpoint checkpoint;
  std::string note;     ///< with the witness's line added; a line by it for the same time is not added twice
  std::string problem;  ///< not empty: why the witness refuses; `note` is then empty
};

/// With `known`, a witness's memory: refuses a checkpoint that is not shown to extend the one of its log that
/// was cosigned last, and remembers this one before the line is made. Throws Error{kEvidence} if the note is
/// malformed, Error{kUsage} if the key is no witness's.
Cosigned cosign(const CosignRequest& request, const seal::SecretKey& witness, KnownNotes* known);

}  // namespace aftune::audit
