#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>

#include "audit/findings.h"
#include "audit/gradient_digest.h"
#include "audit/log_view.h"
#include "audit/source.h"
#include "train/engine.h"

namespace aftune::audit {

/// Replays whole step blocks with the whole engine, where boundaries are not stored: every tensor a leaf
/// speaks of is made again and compared. A cell is checked when its step block has been replayed and nothing
/// differed up to its end: its inputs are then the committed ones, and its outputs are compared just as
/// CellReplay does.
class RunReplay {
 public:
  RunReplay(const LogView& log, TensorSource& source, const model::EngineOptions& options,
            Findings& findings);
  ~RunReplay();

  /// Receives boundaries that a replay made and that are the committed ones, whole.
  using Sink = std::function<void(Side side, std::int64_t t, int boundary, const Shape& shape, Bytes bytes)>;
  /// From now on, `sink` is given those that `wanted` says.
  void keep(std::function<bool(Side side, std::int64_t t, int boundary)> wanted, Sink sink);

  /// Loads all blocks at state s. Throws Rejection.
  void load(std::int64_t s);
  /// Replays step block s from state s. A difference in an output of an asked block is that cell's check;
  /// any other is `recreate`. Throws Rejection at the first difference; all must then be loaded anew.
  void run(std::int64_t s, const std::set<int>& asked);
  /// At the state that was loaded or run to last.
  model::LayerBlock& block(int b) { return *engine_.blocks()[static_cast<std::size_t>(b)]; }
  /// Of a block that was asked for in the last run(). `key` as in ReplayOptions.
  Digest replay_value(const Digest& key, int b) const {
    return gradients_[static_cast<std::size_t>(b)].value(key, {b, step_block_});
  }

 private:
  class Observer;
  void run_step(std::int64_t t);
  void compare_boundaries(Observer& observer, const record::Step& step);
  void compare_numbers(const train::StepResult& result, const record::Step& step);
  void check_end(std::int64_t s);
  template <class Detail>
  void expect(bool holds, int block, Check check, Code code, const std::string& what, const Detail& detail);

  const LogView& log_;
  TensorSource& source_;
  Findings& findings_;
  train::Engine engine_;
  std::vector<GradientDigest> gradients_;
  std::function<bool(Side, std::int64_t, int)> wanted_;
  Sink sink_;
  std::int64_t step_block_ = 0;
  std::set<int> asked_;
};

}  // namespace aftune::audit
