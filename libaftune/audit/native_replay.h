#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "audit/challenge.h"
#include "audit/findings.h"
#include "audit/gradient_digest.h"
#include "audit/log_view.h"
#include "audit/source.h"
#include "audit/spread.h"
#include "audit/step_passes.h"
#include "data/rows.h"
#include "kernels/native.h"
#include "model/layer_block.h"

namespace aftune::audit {

/// Replays one cell of a native run where its bits are not to be had, and compares within tolerances
/// (docs/audit.native.md). What is recorded must be at hand: boundaries, the states before and after, and one
/// step a step block. Memory is the block's twice, and its gradients and boundaries three times.
class NativeReplay {
 public:
  /// Replays with perturbed products, beside the one without.
  static constexpr int kReplays = 8;

  /// `options` compute native products on a pool without a device. `key` makes what is random this audit's.
  NativeReplay(const LogView& log, TensorSource& source, const model::EngineOptions& options, double bound,
               const Digest& key, Findings& findings, Tolerances& tolerances);

  /// Throws Rejection at the first thing that differs, is not there, or could not be told.
  void run(const Cell& cell);
  /// Of the gradients of the cell that was run last, as this machine's processor computes them.
  Digest replay_value(const Digest& key, const Cell& cell) const { return gradients_.value(key, cell); }

 private:
  /// What the passes of a step come to, and how far perturbed ones came from it.
  struct Outputs {
    std::map<std::pair<Side, int>, Spread> boundaries;
    std::vector<Spread> gradients;  ///< of the block's parameters
    std::vector<double> sums;       ///< of its units
    float loss = 0;
    std::vector<std::vector<double>> sum_distances;  ///< per unit, of each replay
    std::vector<double> loss_distances;
  };

  void require_recorded(const Cell& cell);
  void load(std::int64_t s);
  void run(StepPasses& passes, const record::Step& step, const StepPasses::Seen& computed);
  void replay_step(const record::Step& step, const data::Rows& rows);
  void perturb(const record::Step& step, const data::Rows& rows, int replay);
  void compare_boundaries(const record::Step& step, std::int64_t tokens);
  void compare_numbers(const record::Step& step);
  void compare_update(const record::Step& step);
  void compare_tensor(std::size_t parameter, const record::Step& step);
  std::uint64_t seed() const;
  bool is_last_stage() const;
  std::string where(const std::string& what) const;
  void require_tight(const Spread& spread, const std::string& where);

  const LogView& log_;
  TensorSource& source_;
  kernels::Perturbation perturbation_;
  model::EngineOptions options_;  // with the perturbation
  const Digest key_;
  Findings& findings_;
  Tolerances& tolerances_;
  Cell cell_;
  std::unique_ptr<model::LayerBlock> block_, end_;  // at the states before and after
  Outputs outputs_;
  GradientDigest gradients_;
};

}  // namespace aftune::audit
