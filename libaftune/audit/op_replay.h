#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
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

/// What of an op list's ends is not what the log says: the tensors that are cut or joined, losses, sums of
/// squares, and the states before and after.
struct WrongEnd {
  std::string what;
  /// The list names another digest than the leaf does of the same thing: whoever signed both said two things.
  /// Else it is no list of the cell.
  bool contradicts = false;
  std::optional<std::int64_t> entry;  ///< the one that says so; none of the states, which all updates make
};
/// The first of them; nullopt if all ends are as committed, as far as the list has them.
std::optional<WrongEnd> wrong_end(const OpList& list, const LogView& log);
/// Of one operation, which is of this cell and whose step's leaf is at hand: what it says of an end that the
/// log contradicts. Empty if it is none, or as committed.
std::string contradicted_end(const Cell& cell, const OpEntry& entry, const LogView& log);

}  // namespace aftune::audit
