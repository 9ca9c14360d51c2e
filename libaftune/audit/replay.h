#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "audit/challenge.h"
#include "audit/findings.h"
#include "audit/log_view.h"
#include "audit/source.h"
#include "base/progress.h"
#include "model/layer_block.h"

namespace aftune::audit {

struct ReplayLimits {
  std::uint64_t max_memory = 0;  ///< bytes; 0: no bound
};

/// Replays the cells, each with one block where boundaries are stored all the way from the nearest snapshot,
/// else whole step blocks with the whole engine. Returns those that were replayed to their end with nothing
/// differing. Cells that the record makes impossible to reach are left out; why is among the findings.
std::set<Cell> replay_cells(const LogView& log, TensorSource& source, const model::EngineOptions& options,
                            const std::vector<Cell>& cells, const ReplayLimits& limits, Findings& findings,
                            Progress& progress);

/// Bytes that a replay of one block takes: parameters, gradients, moments, and the activations of one
/// micro-batch, from above. For the whole engine, the sum over its blocks.
std::uint64_t replay_bytes(const LogView& log, int block);

/// Compares the snapshot of the last state, from which nothing is replayed, with its leaf; one tensor at a
/// time.
void check_last_snapshot(const LogView& log, TensorSource& source, Findings& findings);

}  // namespace aftune::audit
