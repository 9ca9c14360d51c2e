#pragma once

#include <vector>

#include "audit/challenge.h"
#include "model/config.h"
#include "record/leaves.h"

namespace aftune::audit {

/// Elements of all these tensors, as a real, so that no claimed size overflows.
double total_elements(const std::vector<TensorSpec>& specs);

/// Of those that are matrices.
double matrix_elements(const std::vector<TensorSpec>& specs);

/// The largest width of what a layer's products take and give.
double widest_product(const model::Config& config);

/// What an auditor spends on cells that evidence answers one by one (docs/audit.odds.md, "Cost"). Upper
/// bounds, as if every row filled seq_len: how long rows are the manifest does not say. Reals, so that no
/// claimed size overflows.
struct Cost {
  double cells = 0;
  double flop = 0;         ///< of matrix products, attention and update, forward and backward
  double state_bytes = 0;  ///< parameters and moments at the start of the step block
  double bytes = 0;        ///< of evidence: state, boundaries, tokens and labels; without leaves and proofs
};

class CostModel {
 public:
  /// Throws Error{kEvidence} if the config is not one that this build replays, or is of another grid.
  explicit CostModel(const record::Manifest& manifest);

  Cost of(const Cell& cell) const;
  Cost of(const std::vector<Cell>& cells) const;
  /// Of a step of the whole model, and attention's part of it.
  double step_flop() const;
  double step_attention_flop() const;
  /// The mean over all seeds; exact where the plan leaves nothing to chance.
  Cost expected(const Plan& plan) const;

 private:
  struct BlockCost {
    double flop_per_token = 0, flop_per_step = 0, bytes_per_token = 0, state_bytes = 0;
  };
  BlockCost block_cost(int block) const;
  double unit_flop_per_token(int unit) const;
  double attention_flop_per_token() const;
  double step_tokens() const;

  record::Recipe recipe_;
  record::Grid grid_;
  bool native_;
  model::Config config_;
  std::vector<BlockCost> blocks_;
};

}  // namespace aftune::audit
