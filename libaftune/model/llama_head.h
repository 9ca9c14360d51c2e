#pragma once

#include <vector>

#include "data/rows.h"
#include "model/config.h"
#include "model/layer_block.h"

namespace aftune::model {

/// What the head computes for some rows: their losses and, when it learns, the gradient of its input.
struct HeadResult {
  std::vector<double> row_losses;  ///< per row, rowsum of the losses of its predicted positions
  Matrix d_input;                  ///< [n, hidden]; empty without gradient
};

/// Final norm, lm_head and cross-entropy, forward and backward in one pass over chunks of whole rows, so that
/// the logits of a batch never exist at once. Positions that predict nothing cost nothing: their logits are
/// not made.
class LlamaHead {
 public:
  LlamaHead(const Config& config, ThreadPool& pool) : config_(config), pool_(pool) {}

  /// x is [n, hidden]. `weight` is lm_head [vocab, hidden]; `d_weight`, of its size, is where its gradient is
  /// added. Both gradients are skipped when `learn` is false. inv_predicted is 1 / (predicted positions of
  /// the batch).
  HeadResult run(Parameter& norm, const Buffer& weight, Buffer* d_weight, const data::Rows& rows,
                 const Matrix& x, float inv_predicted, bool learn) const;

 private:
  struct Chunk;
  void run_chunk(const Buffer& weight, Buffer* d_weight, const Chunk& chunk, const Matrix& normed,
                 float inv_predicted, Matrix* d_normed, std::vector<double>& row_losses) const;

  const Config& config_;
  ThreadPool& pool_;
};

}  // namespace aftune::model
