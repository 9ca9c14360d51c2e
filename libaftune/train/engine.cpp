#include "train/engine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "optim/optimizer.h"

namespace aftune::train {
namespace {

template <class Run>
void each_micro_batch(const data::Rows& rows, std::int64_t micro_batch, const Run& run) {
  AFTUNE_CHECK(micro_batch >= 1);
  for (std::int64_t begin = 0, end; begin < rows.rows(); begin = end) {
    end = begin + std::min(micro_batch, rows.rows() - begin);
    run(rows.slice(begin, end));
  }
}

}  // namespace

Engine::Engine(model::EngineOptions options) : options_(std::move(options)) {
  for (int block = 0; block < options_.grid.blocks(); ++block)
    blocks_.push_back(model::make_block(options_, block));
}

void Engine::run_rows(const data::Rows& rows, StepObserver* observer, std::vector<double>& row_losses) {
  const record::Grid& grid = options_.grid;
  std::vector<std::unique_ptr<model::Saved>> saved(static_cast<std::size_t>(grid.stages()));
  Matrix x;
  for (int stage = 0; stage < grid.stages(); ++stage) {
    model::StageOutput out = block_of(stage).forward(stage, rows, stage == 0 ? nullptr : &x, true);
    saved[static_cast<std::size_t>(stage)] = std::move(out.saved);
    if (stage + 1 == grid.stages()) {
      row_losses.insert(row_losses.end(), out.row_losses.begin(), out.row_losses.end());
    } else {
      x = std::move(out.out);
      if (observer != nullptr) observer->activation(stage, x);
    }
  }
  Matrix gradient;
  for (int stage = grid.stages() - 1; stage >= 0; --stage) {
    gradient = block_of(stage).backward(stage, rows, std::move(saved[static_cast<std::size_t>(stage)]),
                                        stage + 1 == grid.stages() ? nullptr : &gradient);
    if (stage > 0 && observer != nullptr) observer->gradient(stage - 1, gradient);
  }
}

StepResult Engine::step(std::int64_t step, double lr, std::int64_t predicted, const data::Rows& batch,
                        std::int64_t micro_batch, StepObserver* observer) {
  QueuedCalls queued(*options_.pool);
  for (const auto& block : blocks_) block->begin_step({step, lr, predicted});
  std::vector<double> row_losses;
  each_micro_batch(batch, micro_batch, [&](const data::Rows& rows) { run_rows(rows, observer, row_losses); });
  StepResult result;
  result.loss = mean_loss(row_losses, predicted);
  result.unit_sums.resize(static_cast<std::size_t>(options_.grid.units()));
  for (const auto& block : blocks_) {
    const std::vector<double> sums = block->sum_squares();
    for (std::size_t i = 0; i < sums.size(); ++i)
      result.unit_sums[static_cast<std::size_t>(block->units()[i].unit)] = sums[i];
  }
  result.norm = optim::global_norm(result.unit_sums);
  result.clip = optim::clip_scale(options_.recipe, result.norm);
  if (observer != nullptr) observer->before_update();
  for (const auto& block : blocks_) block->update(result.clip);
  queued.finish();
  return result;
}

float Engine::evaluate(const data::Rows& rows, std::int64_t micro_batch) {
  QueuedCalls queued(*options_.pool);
  std::vector<double> row_losses;
  std::int64_t predicted = 0;
  for (const std::int32_t label : rows.labels) predicted += label == data::kNoLabel ? 0 : 1;
  each_micro_batch(rows, micro_batch, [&](const data::Rows& part) {
    Matrix x;
    for (int stage = 0; stage < options_.grid.stages(); ++stage) {
      model::StageOutput out = block_of(stage).forward(stage, part, stage == 0 ? nullptr : &x, false);
      x = std::move(out.out);
      row_losses.insert(row_losses.end(), out.row_losses.begin(), out.row_losses.end());
    }
  });
  queued.finish();
  const float loss = mean_loss(row_losses, predicted);
  if (!std::isfinite(loss)) fail(Fault::kUsage, "evaluation: non-finite loss");
  return loss;
}

float mean_loss(const std::vector<double>& row_losses, std::int64_t predicted) {
  double total = 0.0;
  for (const double loss : row_losses) total += loss;
  return static_cast<float>(total / static_cast<double>(predicted));
}

std::int64_t default_micro_batch(const data::Rows& batch, std::int64_t tokens) {
  if (batch.rows() == 0) return 1;
  std::int64_t longest = 1;
  for (std::int64_t r = 0; r < batch.rows(); ++r)
    longest = std::max(longest, batch.row_starts[r + 1] - batch.row_starts[r]);
  return std::max<std::int64_t>(1, tokens / longest);
}

}  // namespace aftune::train
