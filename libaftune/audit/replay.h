#pragma once

#include <cstdint>
#include <vector>

#include "audit/challenge.h"
#include "audit/findings.h"
#include "audit/log_view.h"
#include "audit/shown_rows.h"
#include "audit/source.h"
#include "base/progress.h"
#include "model/layer_block.h"

namespace aftune::audit {

/// What the blocks of a run compute by. `base` is the model beside which its adapters stand, if it has some;
/// it must have been compared with the manifest.
model::EngineOptions engine_of(const LogView& log, ThreadPool& pool, const model::Checkpoint* base);

struct ReplayOptions {
  std::uint64_t max_memory = 0;  ///< bytes; 0: no bound
  int jobs = 1;                  ///< cells replayed side by side; they share the engine's threads
  Digest key;                    ///< of the replay values
  ShownRows* rows = nullptr;     ///< of the first stage's cells; null: their text is not looked at
};

/// Replays the cells, each with one block where boundaries are at hand all the way from the nearest snapshot,
/// else whole step blocks with the whole engine. What became of each, in the order of `cells`; why a cell was
/// not checked is among the findings. Findings and results do not depend on jobs.
std::vector<CellVerdict> replay_cells(const LogView& log, TensorSource& source,
                                      const model::EngineOptions& engine, const std::vector<Cell>& cells,
                                      const ReplayOptions& options, Findings& findings, Progress& progress);

/// Bytes that a replay of one block takes: parameters, gradients, moments, quantised copies, and the
/// activations of one micro-batch, from above. For the whole engine, the sum over its blocks.
std::uint64_t replay_bytes(const LogView& log, int block);
/// The same before there is a log; of the manifest, recipe, grid and profile count.
std::uint64_t replay_bytes(const record::Manifest& manifest, const model::Config& config, int block);

/// Compares the snapshot of the last state, from which nothing is replayed, with its leaf; one tensor at a
/// time.
void check_last_snapshot(const LogView& log, TensorSource& source, Findings& findings);

}  // namespace aftune::audit
