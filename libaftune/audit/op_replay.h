#pragma once

#include <functional>
#include <vector>

#include "audit/log_view.h"
#include "audit/op_list.h"
#include "audit/source.h"
#include "model/layer_block.h"

namespace aftune::audit {

/// Receives each operation when it has been run, with the bytes that went in, if they are kept.
using OpSink = std::function<void(const OpEntry& entry, const std::vector<Bytes>& inputs)>;
enum class Inputs { kKeep, kForget };

/// Runs one cell by its block, a row of the batch at a time, from the given state and boundaries, and tells
/// `sink` of every operation in order (docs/audit.ops.md). What is given is compared with the log first; what
/// comes out is not. Throws Rejection: `evidence`, `absent`, `data`, `non-finite`; and what `sink` throws.
void replay_ops(const LogView& log, TensorSource& source, const model::EngineOptions& engine,
                const Cell& cell, Inputs inputs, const OpSink& sink);

/// What of the list's ends is not what the log says: the tensors that are cut or joined, losses, sums of
/// squares, and the states before and after. Empty if all are, as far as the list has them.
std::string wrong_end(const OpList& list, const LogView& log);

}  // namespace aftune::audit
