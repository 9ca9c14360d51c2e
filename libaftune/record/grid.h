#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace aftune::record {

/// A contiguous range of units [first, last).
struct UnitRange {
  int first = 0;
  int last = 0;
};

/// How a run is cut into cells: pure integer arithmetic on the manifest's numbers (docs/trace.md).
///
/// Units in order: 0 = embed, 1 .. layers = the layers, layers + 1 = head (final norm, lm_head, loss).
/// Blocks: embed; runs of layers_per_block layers; head. Tied embeddings: the head belongs to block 0, which
/// then has two stages, the first and the last. Stages are numbered in order of execution; boundary b lies
/// between stage b and stage b + 1.
struct Grid {
  int layers = 0;
  bool tied = false;
  int layers_per_block = 1;
  std::int64_t steps = 0;
  std::int64_t steps_per_block = 1;

  int units() const { return layers + 2; }
  int layer_blocks() const { return layers / layers_per_block + (layers % layers_per_block != 0 ? 1 : 0); }
  int blocks() const { return layer_blocks() + (tied ? 1 : 2); }
  int stages() const { return layer_blocks() + 2; }
  int boundaries() const { return stages() - 1; }
  int block_of_stage(int stage) const { return stage == stages() - 1 && tied ? 0 : stage; }
  /// In order of execution: one stage, or {0, stages() - 1} for a tied block 0.
  std::vector<int> stages_of_block(int block) const;
  UnitRange units_of_stage(int stage) const;
  /// The units whose tensors block `block` owns, in unit order.
  std::vector<int> units_of_block(int block) const;
  int block_of_unit(int unit) const;

  /// Number of step blocks S = ceil(steps / steps_per_block), and the steps [begin, end) of step block s.
  std::int64_t step_blocks() const {
    return steps / steps_per_block + (steps % steps_per_block != 0 ? 1 : 0);
  }
  std::int64_t step_begin(std::int64_t s) const { return s * steps_per_block; }
  std::int64_t step_end(std::int64_t s) const {
    const std::int64_t end = (s + 1) * steps_per_block;
    return end < steps ? end : steps;
  }
  std::int64_t step_block_of(std::int64_t t) const { return t / steps_per_block; }

  /// Leaf indices: manifest 0, states before the steps of their block, final last.
  std::int64_t step_leaf(std::int64_t t) const { return 2 + t + t / steps_per_block; }
  std::int64_t state_leaf(std::int64_t s) const {
    return s == step_blocks() ? 1 + steps + step_blocks() : 1 + s * (steps_per_block + 1);
  }
  /// What leaf `index` is, if it is a step or a state.
  std::optional<std::int64_t> step_of_leaf(std::int64_t index) const;
  std::optional<std::int64_t> state_of_leaf(std::int64_t index) const;
  std::int64_t final_leaf() const { return 2 + steps + step_blocks(); }
  std::int64_t log_size() const { return 3 + steps + step_blocks(); }

  /// The number of cells, blocks() * step_blocks(), numbered block-minor: cell = s * blocks() + block.
  std::int64_t cells() const { return blocks() * step_blocks(); }
  friend bool operator==(const Grid&, const Grid&) = default;
};

}  // namespace aftune::record
