#pragma once

#include <vector>

#include "audit/bounds.h"
#include "audit/replay.h"

namespace aftune::audit {

/// Whether what the pool's accelerator computes is comparable bit for bit with the run's products: device,
/// capability and library are the same. Never without an accelerator.
bool is_machine_of(const ThreadPool& pool, const record::NativeMachine& of_run);

/// Replays cells of a native run. On a machine as the run's the bits are compared first. If one differs, or
/// the machine is another, each cell is compared within the tolerances that follow from `bounds`, which must
/// be of the run's machine; without these nothing is established (`absent`).
std::vector<CellVerdict> replay_native_cells(const LogView& log, TensorSource& source,
                                             const model::EngineOptions& engine, const Bounds* bounds,
                                             const std::vector<Cell>& cells, const ReplayOptions& options,
                                             NativeFound& found, Findings& findings, Progress& progress);

}  // namespace aftune::audit
