#include "record/grid.h"

#include "base/error.h"

namespace aftune::record {

std::vector<int> Grid::stages_of_block(int block) const {
  AFTUNE_CHECK(block >= 0 && block < blocks());
  if (tied && block == 0) return {0, stages() - 1};
  return {block};
}

UnitRange Grid::units_of_stage(int stage) const {
  AFTUNE_CHECK(stage >= 0 && stage < stages());
  if (stage == 0) return {0, 1};
  if (stage == stages() - 1) return {layers + 1, layers + 2};
  const int first = 1 + (stage - 1) * layers_per_block;
  // Compared by difference: first + layers_per_block may not fit an int.
  return {first, layers_per_block < layers + 1 - first ? first + layers_per_block : layers + 1};
}

std::vector<int> Grid::units_of_block(int block) const {
  std::vector<int> units;
  for (const int stage : stages_of_block(block)) {
    const UnitRange range = units_of_stage(stage);
    for (int unit = range.first; unit < range.last; ++unit) units.push_back(unit);
  }
  return units;
}

int Grid::block_of_unit(int unit) const {
  AFTUNE_CHECK(unit >= 0 && unit < units());
  if (unit == 0) return 0;
  if (unit == layers + 1) return block_of_stage(stages() - 1);
  return 1 + (unit - 1) / layers_per_block;
}

std::optional<std::int64_t> Grid::step_of_leaf(std::int64_t index) const {
  if (index < 2 || index >= state_leaf(step_blocks())) return std::nullopt;
  const std::int64_t s = (index - 1) / (steps_per_block + 1), place = (index - 1) % (steps_per_block + 1);
  if (place == 0) return std::nullopt;
  return s * steps_per_block + place - 1;
}

std::optional<std::int64_t> Grid::state_of_leaf(std::int64_t index) const {
  if (index == state_leaf(step_blocks())) return step_blocks();
  if (index < 1 || index > state_leaf(step_blocks()) || (index - 1) % (steps_per_block + 1) != 0)
    return std::nullopt;
  return (index - 1) / (steps_per_block + 1);
}

}  // namespace aftune::record
