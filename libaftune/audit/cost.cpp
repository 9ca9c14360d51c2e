#include "audit/cost.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "model/layer_block.h"

namespace aftune::audit {
namespace {

// Forward once, backward twice as much: with respect to inputs and to weights.
constexpr double kForwardAndBackward = 3;
// Multiplications, additions, divisions and square roots for one parameter, counted in optim/update.cpp.
constexpr double kUpdateFlopAdamw = 14;
constexpr double kUpdateFlopSgd = 6;

void add(Cost& to, const Cost& cost, double times = 1) {
  to.cells += times * cost.cells;
  to.flop += times * cost.flop;
  to.state_bytes += times * cost.state_bytes;
  to.bytes += times * cost.bytes;
}

double share(std::int64_t drawn, std::int64_t total) {
  return std::min(1.0, static_cast<double>(drawn) / static_cast<double>(total));
}

}  // namespace

double total_elements(const std::vector<TensorSpec>& specs) {
  double elements = 0;
  for (const TensorSpec& spec : specs) elements += static_cast<double>(element_count(spec.shape));
  return elements;
}

double matrix_elements(const std::vector<TensorSpec>& specs) {
  std::vector<TensorSpec> matrices;
  std::copy_if(specs.begin(), specs.end(), std::back_inserter(matrices),
               [](const TensorSpec& spec) { return spec.shape.size() == 2; });
  return total_elements(matrices);
}

double widest_product(const model::Config& config) {
  std::int64_t widest = std::max(config.intermediate, config.hidden);
  for (const TensorSpec& spec : model::unit_tensors(config, 1))
    for (const std::int64_t size : spec.shape) widest = std::max(widest, size);
  return static_cast<double>(widest);
}

CostModel::CostModel(const record::Manifest& manifest)
    : recipe_(manifest.recipe),
      grid_(manifest.grid),
      native_(manifest.native.has_value()),
      config_(model::Config::parse(manifest.config)) {
  if (config_.layers != grid_.layers || config_.tied != grid_.tied)
    fail(Fault::kEvidence, "the manifest's grid is not that of its config");
  for (int block = 0; block < grid_.blocks(); ++block) blocks_.push_back(block_cost(block));
}

double CostModel::unit_flop_per_token(int unit) const {
  const auto hidden = static_cast<double>(config_.hidden);
  const bool head = unit == grid_.units() - 1;
  if (config_.images && unit == 0)
    return 2 * hidden * static_cast<double>(config_.images->shape.patch_width());
  if (config_.images && head)  // once for each image
    return 2 * matrix_elements(model::unit_tensors(config_, unit)) / static_cast<double>(recipe_.seq_len);
  if (unit == 0) return 0;
  if (head) return 2 * hidden * static_cast<double>(config_.vocab);
  return 2 * matrix_elements(model::unit_tensors(config_, unit)) + attention_flop_per_token();
}

// Of a layer: scores and values over the positions before, half of the row on average; of images over all.
double CostModel::attention_flop_per_token() const {
  const double width = static_cast<double>(config_.heads) * config_.head_dim;
  const auto length = static_cast<double>(recipe_.seq_len);
  return 2 * 2 * width * (config_.images ? length : (length + 1) / 2);
}

double CostModel::step_tokens() const {
  return static_cast<double>(recipe_.batch_size) * static_cast<double>(recipe_.seq_len);
}

double CostModel::step_flop() const {
  double flop = 0;
  for (const BlockCost& block : blocks_) flop += step_tokens() * block.flop_per_token + block.flop_per_step;
  return flop;
}

double CostModel::step_attention_flop() const {
  return step_tokens() * kForwardAndBackward * attention_flop_per_token() * config_.layers;
}

CostModel::BlockCost CostModel::block_cost(int block) const {
  const double parameters = total_elements(model::block_parameter_specs(config_, grid_, recipe_, block));
  const double moments = total_elements(model::block_moment_specs(config_, grid_, recipe_, block));
  BlockCost cost;
  cost.state_bytes = (parameters + moments) * sizeof(float);
  cost.flop_per_step = parameters * (recipe_.optimizer == "adamw" ? kUpdateFlopAdamw : kUpdateFlopSgd);
  for (const int unit : grid_.units_of_block(block))
    cost.flop_per_token += kForwardAndBackward * unit_flop_per_token(unit);
  for (const int stage : grid_.stages_of_block(block)) {
    const bool first = stage == 0, last = stage == grid_.stages() - 1;
    // Activations in, output gradients in, of native runs both ways; tokens and labels at the ends.
    const double boundaries = (native_ ? 2 : 1) * ((first ? 0 : 1) + (last ? 0 : 1));
    cost.bytes_per_token += boundaries * static_cast<double>(config_.hidden) * sizeof(float);
    cost.bytes_per_token += (first || last ? 1 : 0) * sizeof(std::int32_t);
    if (first && config_.images)
      cost.bytes_per_token += sizeof(float) * static_cast<double>(config_.images->shape.pixels()) /
                              static_cast<double>(recipe_.seq_len);
  }
  return cost;
}

Cost CostModel::of(const Cell& cell) const {
  const BlockCost& block = blocks_.at(static_cast<std::size_t>(cell.block));
  const auto steps = static_cast<double>(grid_.step_end(cell.step_block) - grid_.step_begin(cell.step_block));
  const double tokens = steps * step_tokens();
  return {.cells = 1,
          .flop = tokens * block.flop_per_token + steps * block.flop_per_step,
          .state_bytes = block.state_bytes,
          .bytes = (native_ ? 2 : 1) * block.state_bytes + tokens * block.bytes_per_token};
}

Cost CostModel::of(const std::vector<Cell>& cells) const {
  Cost sum;
  for (const Cell& cell : cells) add(sum, of(cell));
  return sum;
}

// A cell is drawn by at least one of independent streams. Rows between the first and the last are alike.
Cost CostModel::expected(const Plan& plan) const {
  const std::int64_t rows = grid_.step_blocks();
  const int last_block = grid_.block_of_stage(grid_.stages() - 1);
  const auto chance = [&](const Cell& cell) {
    if (plan.all) return 1.0;
    double missed = 1 - share(plan.uniform, grid_.cells());
    if (cell.block == 0) missed *= 1 - share(plan.inputs, rows);
    if (cell.block == last_block) missed *= 1 - share(plan.objective, rows);
    if (cell.step_block == 0) missed *= 1 - share(plan.ends, grid_.blocks());
    if (cell.step_block == rows - 1) missed *= 1 - share(plan.ends, grid_.blocks());
    return 1 - missed;
  };
  Cost sum;
  for (int block = 0; block < grid_.blocks(); ++block) {
    const auto count = [&](std::int64_t row, double times) {
      const Cell cell{block, row};
      add(sum, of(cell), times * chance(cell));
    };
    count(0, 1);
    if (rows > 2) count(1, static_cast<double>(rows - 2));
    if (rows > 1) count(rows - 1, 1);
  }
  return sum;
}

}  // namespace aftune::audit
