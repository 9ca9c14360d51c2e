#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "audit/findings.h"
#include "audit/gradient_digest.h"
#include "audit/log_view.h"
#include "audit/shown_rows.h"
#include "audit/source.h"
#include "audit/step_passes.h"
#include "data/rows.h"
#include "model/layer_block.h"

namespace aftune::audit {

/// Replays cells of one block from given boundaries: one LayerBlock, whatever the model's size. Memory is the
/// block's parameters, gradients and moments, and the activations of one micro-batch; boundaries are read by
/// micro-batch.
class CellReplay {
 public:
  CellReplay(const LogView& log, TensorSource& source, const model::EngineOptions& options,
             Findings& findings, int block, ShownRows* rows = nullptr);
  ~CellReplay();

  /// Loads state s. Throws Rejection.
  void load(std::int64_t s);
  /// Replays step block s from the state the block is at, which must be s. `asked`: it is a cell of the
  /// challenge and its outputs are that cell's checks; else it only leads to one. Throws Rejection at the
  /// first thing that differs; the block must then be loaded anew.
  void run(std::int64_t s, bool asked);
  /// Of the cell that was run last. `key` as in ReplayOptions.
  Digest replay_value(const Digest& key) const {
    return gradients_.value(key, {block_->index(), step_block_});
  }

 private:
  void run_step(std::int64_t t, bool asked);
  void check_sums(const record::Step& step, bool asked);
  void check_outputs(const StepPasses& passes, const record::Step& step, const data::Rows& rows, bool asked);
  void check_end(std::int64_t s, bool asked);
  void check_text(std::int64_t s);
  std::string where(const std::string& what) const;
  std::string locate(const record::Step& step, const data::Rows& rows, Side side, int boundary);

  const LogView& log_;
  TensorSource& source_;
  const model::EngineOptions& options_;
  Findings& findings_;
  ShownRows* rows_;
  std::unique_ptr<model::LayerBlock> block_;
  std::vector<int> stages_;
  std::int64_t step_block_ = 0;
  GradientDigest gradients_;
};

}  // namespace aftune::audit
