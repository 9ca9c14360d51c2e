#pragma once

#include "seal/note.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune::audit {

/// The leaves that the note seals, at least one, of a log that is the provider's own and may go on. Throws
/// Error{kEvidence} if they are others.
trace::Log sealed_log(const trace::Layout& layout, const seal::Checkpoint& checkpoint);

}  // namespace aftune::audit
