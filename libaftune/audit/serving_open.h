#pragma once

#include "audit/opening.h"
#include "seal/note.h"
#include "trace/log.h"

namespace aftune::audit {

/// open() of a serving period: for each cell the exchange, the boundary that its block is given, made again
/// by running the model, the block's tensors as they are served, and the salts that show all of it; besides,
/// the first and the last leaf, and the tokenizer if a cell reads text. Needs options.model. Everything is
/// compared with the log before it is written.
Opened open_answers(const OpenOptions& options, const trace::Log& log, const seal::Checkpoint& checkpoint);

}  // namespace aftune::audit
