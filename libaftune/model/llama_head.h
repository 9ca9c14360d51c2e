#pragma once

#include <string_view>
#include <vector>

#include "data/rows.h"
#include "model/config.h"
#include "model/layer_block.h"
#include "model/op_observer.h"
#include "model/products.h"

namespace aftune::model {

/// What the head computes with. `weight` is lm_head [vocab, hidden]; its gradient is added to `d_weight`, of
/// its size, and the norm's to norm.gradient. A null `d_weight` means evaluation, in which no gradient is
/// touched, or weights that are frozen, past which only that of the input is made.
struct HeadWeights {
  Parameter& norm;
  const Buffer& weight;
  Buffer* d_weight;
  std::string_view weight_name = {};
  bool frozen = false;

  bool learn() const { return d_weight != nullptr || frozen; }
};

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
  /// Logits that may exist at once: 64 MiB. A single row is never cut.
  static constexpr std::int64_t kMaxLogits = std::int64_t{1} << 21;

  LlamaHead(const Config& config, Products& products, ThreadPool& pool, std::int64_t max_logits = kMaxLogits,
            OpObserver* ops = nullptr)
      : config_(config), products_(products), pool_(pool), max_logits_(max_logits), ops_(ops) {}

  /// Raw logits [n, vocab] of x [n, hidden].
  Matrix logits(const Parameter& norm, const Weight& weight, const Matrix& x) const;
  /// x is [n, hidden]. inv_predicted is 1 / (predicted positions of the batch).
  HeadResult run(const HeadWeights& weights, const data::Rows& rows, const Matrix& x,
                 float inv_predicted) const;

 private:
  Matrix normalise(const Parameter& norm, const Matrix& x, Buffer& inv_rms) const;
  struct Chunk;
  void run_chunk(const HeadWeights& weights, const std::vector<std::int32_t>& labels, const Chunk& chunk,
                 float inv_predicted, const Matrix& normed, Matrix& d_normed,
                 std::vector<double>& row_losses) const;

  const Config& config_;
  Products& products_;
  ThreadPool& pool_;
  const std::int64_t max_logits_;
  OpObserver* ops_;
};

}  // namespace aftune::model
