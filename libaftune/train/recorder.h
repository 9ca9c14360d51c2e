#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "record/leaves.h"
#include "train/engine.h"

namespace aftune::train {

struct RecordOptions {
  fs::path trace;
  std::int64_t snapshot_interval = 4;  ///< in step blocks; 0 keeps only the first and last state
  bool store_boundaries = false;
  bool compress = false;
  bool resume = false;
};

/// Writes a trace while a run goes on: digests on the way, one segment per step block, its leaves after it.
/// Leaves that are already in the log (resume) are compared instead, and a difference is Error{kUsage},
/// nothing touched.
class Recorder {
 public:
  Recorder(const RecordOptions& options, const record::Manifest& manifest, ThreadPool& pool);
  ~Recorder();

  /// Where a resumed run continues: the last state s whose whole snapshot is on disk, 0 for a new trace.
  std::int64_t resume_state() const;
  /// Loads that snapshot into the blocks, checking it against the log.
  void restore(std::vector<std::unique_ptr<model::LayerBlock>>& blocks);

  /// State 0 of a new trace: writes segment 0, the manifest and the first state leaf.
  void begin(const std::vector<std::unique_ptr<model::LayerBlock>>& blocks);
  /// The observer to pass to Engine::step for step t.
  StepObserver& observer(std::int64_t step);
  /// After step t: completes its leaf. At the end of a step block also digests the state and writes the
  /// segment.
  void end_step(std::int64_t step, const data::Batch& batch, const StepResult& result, double lr,
                std::optional<float> eval_loss,
                const std::vector<std::unique_ptr<model::LayerBlock>>& blocks);
  /// The last leaf. The export must be on disk already.
  void finish(const record::Final& final);
  /// Digests of the last state, for `final`.
  const std::vector<record::BlockState>& last_state() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace aftune::train
