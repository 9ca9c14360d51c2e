#include "model/rope_table.h"

#include <algorithm>

#include "kernels/ops.h"

namespace aftune::model {
namespace {

kernels::RopeParameters parameters(const Config& config) {
  kernels::RopeParameters p;
  p.theta = config.rope_theta;
  p.head_dim = config.head_dim;
  if (const auto& scaling = config.rope_scaling) {
    p.llama3 = true;
    p.factor = scaling->factor;
    p.low_freq_factor = scaling->low_freq_factor;
    p.high_freq_factor = scaling->high_freq_factor;
    p.original_max_position = scaling->original_max_position;
  }
  return p;
}

}  // namespace

RopeTable::RopeTable(const Config& config) : config_(config) {}

void RopeTable::cover(const ThreadPool& pool, std::int64_t positions) {
  if (positions <= positions_) return;
  positions_ = std::max(positions, 2 * positions_);
  cos_ = Buffer(positions_ * config_.head_dim / 2);
  sin_ = Buffer(positions_ * config_.head_dim / 2);
  pool.wait_for_accelerator();
  kernels::rope_table(parameters(config_), positions_, cos_.data(), sin_.data());
}

}  // namespace aftune::model
