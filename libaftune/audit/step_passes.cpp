#include "audit/step_passes.h"

#include <algorithm>
#include <memory>

#include "audit/block_state.h"
#include "audit/rejection.h"
#include "base/error.h"
#include "base/progress.h"
#include "train/engine.h"

namespace aftune::audit {
namespace {

// Of a micro-batch of layers: half of what training takes. A cell is a few steps of one block, so the first
// touch of the memory of its activations is a large part of its time, and there may be one such cell a core.
constexpr std::int64_t kLayerTokens = 1024;

// Embedding and head keep few activations. A library's products may depend on how many rows come at a time:
// native ones are asked for as in training.
std::int64_t tokens_at_a_time(const LogView& log, const std::vector<int>& stages) {
  const int last = log.grid().stages() - 1;
  const bool layers = std::any_of(stages.begin(), stages.end(), [&](int s) { return s != 0 && s != last; });
  return layers && !log.manifest().native ? kLayerTokens : train::kMicroBatchTokens;
}

}  // namespace

std::string boundary_tensor(Side side, int boundary) {
  return cat(side == Side::kActivation ? "activation " : "gradient ", boundary);
}

const Digest& committed_boundary(const record::Step& step, Side side, int boundary) {
  return (side == Side::kActivation ? step.activations : step.gradients)[static_cast<std::size_t>(boundary)];
}

StepPasses::StepPasses(const LogView& log, TensorSource& source, ThreadPool* pool, model::LayerBlock& block,
                       const record::Step& step, const data::Rows& rows)
    : log_(log),
      source_(source),
      pool_(pool),
      block_(block),
      step_(step),
      rows_(rows),
      stages_(log.grid().stages_of_block(block.index())),
      last_stage_(log.grid().stages() - 1) {}

void StepPasses::run(const Seen& given, const Seen& computed) {
  block_.begin_step({step_.step, step_.lr, step_.predicted});
  row_losses.clear();
  const std::int64_t rows_at_a_time = train::default_micro_batch(rows_, tokens_at_a_time(log_, stages_));
  for (std::int64_t begin = 0; begin < rows_.rows(); begin += rows_at_a_time) {
    if (interrupted()) fail(Fault::kSystem, "interrupted");
    const data::Rows rows = rows_.slice(begin, std::min(begin + rows_at_a_time, rows_.rows()));
    first_token_ = rows_.row_starts[static_cast<std::size_t>(begin)];
    run_micro_batch(rows, given, computed);
  }
}

void StepPasses::run_and_hash() {
  const auto into = [pool = pool_](Digests& digests) {
    return [&digests, pool](Side side, int boundary, std::int64_t, const Matrix& tensor) {
      digests[{side, boundary}].update(tensor.bytes(), pool);
    };
  };
  run(into(given_digests), into(computed_digests));
}

void StepPasses::run_micro_batch(const data::Rows& rows, const Seen& given, const Seen& computed) {
  std::vector<std::unique_ptr<model::Saved>> saved;
  for (const int stage : stages_) {
    Matrix in;
    if (stage > 0) in = read(Side::kActivation, stage - 1, rows.size(), given);
    auto out = block_.forward(stage, rows, stage > 0 ? &in : nullptr, true);
    if (stage < last_stage_) computed(Side::kActivation, stage, first_token_, out.out);
    row_losses.insert(row_losses.end(), out.row_losses.begin(), out.row_losses.end());
    saved.push_back(std::move(out.saved));
  }
  for (std::size_t i = stages_.size(); i-- > 0;) {
    const int stage = stages_[i];
    Matrix grad_out;
    if (stage < last_stage_) grad_out = read(Side::kGradient, stage, rows.size(), given);
    const Matrix grad_in =
        block_.backward(stage, rows, std::move(saved[i]), stage < last_stage_ ? &grad_out : nullptr);
    if (stage > 0) computed(Side::kGradient, stage - 1, first_token_, grad_in);
  }
}

Matrix StepPasses::read(Side side, int boundary, std::int64_t tokens, const Seen& given) {
  Matrix tensor(tokens, log_.config().hidden);
  source_.read_boundary(side, step_.step, boundary, rows_.size(), first_token_, tensor);
  given(side, boundary, first_token_, tensor);
  return tensor;
}

void check_given(const LogView& log, TensorSource& source, const StepPasses::Digests& digests,
                 const record::Step& step) {
  for (const auto& [which, hasher] : digests) {
    const auto [side, boundary] = which;
    const Digest found =
        log.published({log.grid().step_leaf(step.step), role_of(side), boundary}, hasher.finish());
    const Digest& expected = committed_boundary(step, side, boundary);
    if (found != expected)
      throw Rejection(Code::kEvidence, source.boundary_name(side, step.step, boundary),
                      expected_found(expected, found));
  }
}

}  // namespace aftune::audit
