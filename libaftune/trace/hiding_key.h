#pragma once

#include <optional>

#include "record/salts.h"
#include "trace/layout.h"

namespace aftune::trace {

/// The run secret from a file of 64 lower-case hex digits and LF. Throws Error{kUsage} if there is no such
/// file, {kEvidence} if it is of another form.
record::RunSecret read_hiding_key(const fs::path& path, Links links = Links::kRefuse);
/// Writes it, readable by its owner only.
void write_hiding_key(const fs::path& path, const record::RunSecret& secret);
/// 32 random bytes.
record::RunSecret new_hiding_key();

}  // namespace aftune::trace
