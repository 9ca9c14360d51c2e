#pragma once

#include <string_view>

#include "audit/serving_log.h"
#include "seal/note.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune::audit {

/// The leaves that the note seals, at least one, of a log that is the provider's own and may go on. Throws
/// Error{kEvidence} if they are others.
trace::Log sealed_log(const trace::Layout& layout, const seal::Checkpoint& checkpoint);

/// That of a serving period, which must be whole and right. Throws Error{kEvidence}.
ServingLog sealed_serving_log(std::string_view note, const trace::Layout& layout);
ServingLog serving_log_of(const trace::Log& sealed);

}  // namespace aftune::audit
