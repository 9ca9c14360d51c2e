#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "record/leaves.h"
#include "record/salts.h"
#include "train/engine.h"
#include "train/snapshot.h"

namespace aftune::train {

struct RecordOptions {
  fs::path trace;
  std::int64_t snapshot_interval = 4;  ///< in step blocks; 0 keeps only the first and last state
  bool store_boundaries = false;
  bool compress = false;
  bool resume = false;
  bool hiding = false;                                   ///< salt published digests with the run secret
  std::optional<fs::path> hiding_secret = std::nullopt;  ///< file with it; else the trace's own, else random
};

/// Refuses (Error{kUsage}) a trace that is there already, unless it is to be resumed.
void check_trace(const RecordOptions& options);

/// The secret of the run: the one in the trace, else the file's, else a new one; nullopt without hiding.
/// Writes nothing. Throws Error{kUsage} if trace and file have different ones, or if leaves have already been
/// published under a secret that is not there any more.
std::optional<record::RunSecret> run_secret(const RecordOptions& options);

/// Writes a trace while a run goes on: digests on the way, one segment per step block, its leaves after it.
/// Segments are written by a thread of their own while the next steps compute. Leaves that are already in the
/// log (resume) are compared instead, and a difference is Error{kUsage}, nothing touched.
///
/// The blocks are those of begin() or restore() in all calls and outlive the recorder: a state is written
/// from where it is, while the next step runs up to its update.
///
/// Order of calls: resume_state(); then restore(), or begin() if there is nothing to restore; then for each
/// step from resume_step() on observer() and end_step(); then finish().
class Recorder {
 public:
  /// Takes the lock of the trace. Throws Error{kUsage} if it is in use, if it exists and options.resume is
  /// false, if its log is not the beginning of this run's or does not extend its checkpoint, and if any leaf
  /// of this run would be too long.
  /// With a secret, which must be the one that the manifest states, digests are published salted by it, and
  /// it is kept in the trace from before the first leaf on.
  Recorder(const RecordOptions& options, const record::Manifest& manifest, ThreadPool& pool,
           const std::optional<record::RunSecret>& secret = std::nullopt);
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;
  ~Recorder();  ///< finishes writing what is complete

  /// The last state s that is in the log and whose whole snapshot is on disk; nullopt if there is none.
  std::optional<std::int64_t> resume_state(const Blocks& blocks);
  /// Loads that snapshot into the blocks. Throws Error{kEvidence} if it is not the state in the log.
  void restore(Blocks& blocks);
  /// The step and the position of the order at which training goes on.
  std::int64_t resume_step() const;
  std::int64_t resume_position() const;

  /// State 0: writes segment 0, the manifest and the first state leaf.
  void begin(const Blocks& blocks);
  /// The observer to pass to Engine::step for step t.
  StepObserver& observer(std::int64_t step);
  /// After step t: completes its leaf. At the end of a step block also digests the state and writes the
  /// segment.
  void end_step(std::int64_t step, const data::Batch& batch, const StepResult& result, double lr,
                std::optional<float> eval_loss, const Blocks& blocks);
  /// The last leaf; totals and moments are known here. The export must be on disk already; `exported` is made
  /// of last_state(), `files` are plain digests. Returns when all is written.
  void finish(const record::TensorList& exported, const std::map<std::string, Digest>& files);
  /// Seconds that training stood still because the disk was more than a segment behind.
  double waited() const;
  /// Digests of the last state, for the export. Those of parameters are as they are published.
  const std::vector<record::BlockState>& last_state() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace aftune::train
