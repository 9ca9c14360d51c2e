#pragma once

#include <cstdint>

#include "model/config.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// cos and sin of the RoPE angles, [positions, head_dim / 2] each. An entry depends on its position alone, so
/// the table grows with the rows that are really met: a recipe may claim any length.
class RopeTable {
 public:
  explicit RopeTable(const Config& config);

  /// Makes the table hold at least `positions` positions.
  void cover(const ThreadPool& pool, std::int64_t positions);
  std::int64_t positions() const { return positions_; }
  const float* cos() const { return cos_.data(); }
  const float* sin() const { return sin_.data(); }

 private:
  const Config& config_;
  std::int64_t positions_ = 0;
  Buffer cos_;
  Buffer sin_;
};

}  // namespace aftune::model
