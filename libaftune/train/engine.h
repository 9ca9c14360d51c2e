#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/rows.h"
#include "model/layer_block.h"

namespace aftune::train {

/// Sees every tensor that a step commits to, as it is produced: in order of rows per boundary, boundaries
/// ascending in the forward and descending in the backward pass of each micro-batch.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  virtual void activation(int boundary, const Matrix& rows) = 0;
  virtual void gradient(int boundary, const Matrix& rows) = 0;
  /// Called once in a step, when all gradients are there and no parameter or moment has been changed yet.
  virtual void before_update() {}
};

struct StepResult {
  float loss = 0;  ///< mean over predicted positions: row losses added in binary64, in row order
  std::vector<double> unit_sums;  ///< per unit
  double norm = 0;
  float clip = 1;
};

/// All blocks of a model, run as one: what the trainer uses, and the auditor when it must re-create a step
/// block.
class Engine {
 public:
  explicit Engine(model::EngineOptions options);

  std::vector<std::unique_ptr<model::LayerBlock>>& blocks() { return blocks_; }
  const model::EngineOptions& options() const { return options_; }

  /// One optimizer step on a whole batch, `micro_batch` rows at a time (an execution choice; it changes no
  /// bit).
  StepResult step(std::int64_t step, double lr, std::int64_t predicted, const data::Rows& batch,
                  std::int64_t micro_batch, StepObserver* observer);
  /// Mean loss over the predicted positions of rows, without gradients.
  float evaluate(const data::Rows& rows, std::int64_t micro_batch);

 private:
  model::LayerBlock& block_of(int stage) {
    return *blocks_[static_cast<std::size_t>(options_.grid.block_of_stage(stage))];
  }
  /// Forward and backward of one micro-batch.
  void run_rows(const data::Rows& rows, StepObserver* observer, std::vector<double>& row_losses);

  model::EngineOptions options_;
  std::vector<std::unique_ptr<model::LayerBlock>> blocks_;
};

/// Mean loss from per-row losses, and the rule that the auditor shares.
float mean_loss(const std::vector<double>& row_losses, std::int64_t predicted);

/// Rows at a time that keep a micro-batch near `tokens`, one at least.
inline constexpr std::int64_t kMicroBatchTokens = 2048;
std::int64_t default_micro_batch(const data::Rows& batch, std::int64_t tokens = kMicroBatchTokens);

}  // namespace aftune::train
