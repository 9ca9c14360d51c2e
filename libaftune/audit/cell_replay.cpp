#include "audit/cell_replay.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <map>

#include "audit/block_state.h"
#include "audit/judge.h"
#include "audit/step_rows.h"
#include "base/progress.h"
#include "hash/blake3.h"
#include "train/engine.h"

namespace aftune::audit {
namespace {

// Of a micro-batch: half of what training takes. A cell is a few steps of one block, so the first touch of
// the memory of its activations is a large part of its time, and there may be one such cell a core.
constexpr std::int64_t kTokens = 1024;

// Called with the rows [first, first + tensor.rows) of one side of a boundary, in row order.
using Seen = std::function<void(Side side, int boundary, std::int64_t first, const Matrix& tensor)>;

std::string tensor_name(Side side, int boundary) {
  return cat(side == Side::kActivation ? "activation " : "gradient ", boundary);
}

const Digest& committed(const record::Step& step, Side side, int boundary) {
  return (side == Side::kActivation ? step.activations : step.gradients)[static_cast<std::size_t>(boundary)];
}

}  // namespace

// Forward and backward of a block's stages over all micro-batches of one step. Boundary b lies between stage
// b and stage b + 1.
class CellReplay::Passes {
 public:
  Passes(CellReplay& replay, const record::Step& step, const data::Rows& rows)
      : replay_(replay), step_(step), rows_(rows), last_stage_(replay.log_.grid().stages() - 1) {}

  void run(const Seen& given, const Seen& computed) {
    replay_.block_->begin_step({step_.step, step_.lr, step_.predicted});
    row_losses.clear();
    const std::int64_t rows_at_a_time = train::default_micro_batch(rows_, kTokens);
    for (std::int64_t begin = 0; begin < rows_.rows(); begin += rows_at_a_time) {
      if (interrupted()) fail(Fault::kSystem, "interrupted");
      const data::Rows rows = rows_.slice(begin, std::min(begin + rows_at_a_time, rows_.rows()));
      first_token_ = rows_.row_starts[static_cast<std::size_t>(begin)];
      run_micro_batch(rows, given, computed);
    }
  }

  std::map<std::pair<Side, int>, hash::Blake3> given_digests, computed_digests;
  std::vector<double> row_losses;

  void run_and_hash() {
    const auto into = [pool = replay_.options_.pool](auto& digests) {
      return [&digests, pool](Side side, int boundary, std::int64_t, const Matrix& tensor) {
        digests[{side, boundary}].update(tensor.bytes(), pool);
      };
    };
    run(into(given_digests), into(computed_digests));
  }

 private:
  void run_micro_batch(const data::Rows& rows, const Seen& given, const Seen& computed) {
    std::vector<std::unique_ptr<model::Saved>> saved;
    for (const int stage : replay_.stages_) {
      Matrix in;
      if (stage > 0) in = read(Side::kActivation, stage - 1, rows.size(), given);
      auto out = replay_.block_->forward(stage, rows, stage > 0 ? &in : nullptr, true);
      if (stage < last_stage_) computed(Side::kActivation, stage, first_token_, out.out);
      row_losses.insert(row_losses.end(), out.row_losses.begin(), out.row_losses.end());
      saved.push_back(std::move(out.saved));
    }
    for (std::size_t i = replay_.stages_.size(); i-- > 0;) {
      const int stage = replay_.stages_[i];
      Matrix grad_out;
      if (stage < last_stage_) grad_out = read(Side::kGradient, stage, rows.size(), given);
      const Matrix grad_in = replay_.block_->backward(stage, rows, std::move(saved[i]),
                                                      stage < last_stage_ ? &grad_out : nullptr);
      if (stage > 0) computed(Side::kGradient, stage - 1, first_token_, grad_in);
    }
  }

  Matrix read(Side side, int boundary, std::int64_t tokens, const Seen& given) {
    Matrix tensor(tokens, replay_.log_.config().hidden);
    replay_.source_.read_boundary(side, step_.step, boundary, rows_.size(), first_token_, tensor);
    given(side, boundary, first_token_, tensor);
    return tensor;
  }

  CellReplay& replay_;
  const record::Step& step_;
  const data::Rows& rows_;
  const int last_stage_;
  std::int64_t first_token_ = 0;
};

CellReplay::CellReplay(const LogView& log, TensorSource& source, const model::EngineOptions& options,
                       Findings& findings, int block, ShownRows* rows)
    : log_(log),
      source_(source),
      options_(options),
      findings_(findings),
      rows_(rows),
      block_(model::make_block(options, block)),
      stages_(log.grid().stages_of_block(block)) {}

CellReplay::~CellReplay() = default;

std::string CellReplay::where(const std::string& what) const {
  return cat("cell ", block_->index(), ",", step_block_, " ", what);
}

void CellReplay::load(std::int64_t s) {
  if (s == 0) check_initialised(log_, options_, *block_, findings_);
  load_state(log_, source_, *block_, s, *options_.pool);
  findings_.held(Check::kStateBefore);
  if (s == 0) check_widened(log_, *block_, findings_);
}

void CellReplay::run(std::int64_t s, bool asked) {
  step_block_ = s;
  gradients_.reset();
  for (std::int64_t t = log_.grid().step_begin(s); t < log_.grid().step_end(s); ++t) run_step(t, asked);
  check_end(s, asked);
  // Last: rows that do not come must not spare a cell whose arithmetic is wrong.
  if (asked && rows_ != nullptr && stages_.front() == 0) check_text(s);
}

void CellReplay::check_text(std::int64_t s) {
  for (std::int64_t t = log_.grid().step_begin(s); t < log_.grid().step_end(s); ++t)
    rows_->check(log_.step(t), where(cat("step ", t)), findings_);
}

void CellReplay::run_step(std::int64_t t, bool asked) {
  const record::Step step = log_.step(t);
  const bool first = stages_.front() == 0;
  const bool last = stages_.back() == log_.grid().stages() - 1;
  const data::Rows rows = load_rows(log_, source_, step, {.tokens = first, .labels = last});
  Passes passes(*this, step, rows);
  passes.run_and_hash();
  // Given tensors first: nothing follows from a replay of something else than what was committed.
  check_given(passes, step);
  check_sums(step, asked);
  check_outputs(passes, step, rows, asked);
  if (asked) gradients_.add(*block_, options_.pool);
  finite_or_reject(where(cat("step ", t)), [&] { block_->update(step.clip); });
}

void CellReplay::check_given(const Passes& passes, const record::Step& step) {
  for (const auto& [which, hasher] : passes.given_digests) {
    const auto [side, boundary] = which;
    const Digest found =
        log_.published({log_.grid().step_leaf(step.step), role_of(side), boundary}, hasher.finish());
    const Digest& expected = committed(step, side, boundary);
    if (found != expected)
      throw Rejection(Code::kEvidence, source_.boundary_name(side, step.step, boundary),
                      expected_found(expected, found));
  }
}

void CellReplay::check_sums(const record::Step& step, bool asked) {
  const std::string at = where(cat("step ", step.step));
  const std::vector<double> sums = finite_or_reject(at, [&] { return block_->sum_squares(); });
  const auto& units = block_->units();
  AFTUNE_CHECK(sums.size() == units.size());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const double recorded = step.sums[static_cast<std::size_t>(units[i].unit)];
    Judge(findings_, asked)
        .expect(std::bit_cast<std::uint64_t>(sums[i]) == std::bit_cast<std::uint64_t>(recorded), Check::kNorm,
                Code::kNorm, cat(at, " unit ", units[i].unit), [&] {
                  return cat("sum of squares: replayed ", sums[i], " (", double_hex(sums[i]), "), recorded ",
                             recorded, " (", double_hex(recorded), ")");
                });
  }
}

void CellReplay::check_outputs(const Passes& passes, const record::Step& step, const data::Rows& rows,
                               bool asked) {
  const Judge judge(findings_, asked);
  for (const auto& [which, hasher] : passes.computed_digests) {
    const auto [side, boundary] = which;
    const Digest replayed =
        log_.published({log_.grid().step_leaf(step.step), role_of(side), boundary}, hasher.finish());
    const Digest& recorded = committed(step, side, boundary);
    const bool forward = side == Side::kActivation;
    judge.expect(replayed == recorded, forward ? Check::kForward : Check::kBackward,
                 forward ? Code::kForward : Code::kBackward,
                 where(cat("step ", step.step, " ", tensor_name(side, boundary))),
                 [&, s = side, b = boundary] {
                   return cat(expected_found(replayed, recorded), locate(step, rows, s, b));
                 });
  }
  if (stages_.back() != log_.grid().stages() - 1) return;
  const float loss = train::mean_loss(passes.row_losses, step.predicted);
  judge.expect(std::bit_cast<std::uint32_t>(loss) == std::bit_cast<std::uint32_t>(step.loss), Check::kLoss,
               Code::kLoss, where(cat("step ", step.step)), [&] {
                 return cat("loss: replayed ", loss, " (", float_hex(loss), "), recorded ", step.loss, " (",
                            float_hex(step.loss), ")");
               });
}

// Replays the step's passes once more, this time beside the stored tensor, if that is the committed one.
std::string CellReplay::locate(const record::Step& step, const data::Rows& rows, Side side, int boundary) {
  std::optional<std::string> difference;
  hash::Blake3 stored_digest;
  const auto nothing = [](Side, int, std::int64_t, const Matrix&) {};
  const auto compare = [&](Side s, int b, std::int64_t first, const Matrix& replayed) {
    if (s != side || b != boundary) return;
    Matrix stored(replayed.rows, replayed.cols);
    source_.read_boundary(side, step.step, boundary, rows.size(), first, stored);
    stored_digest.update(stored.bytes());
    const auto count = static_cast<std::size_t>(stored.values.size());
    if (!difference)
      difference = first_difference({rows.size(), stored.cols}, {replayed.data(), count},
                                    {stored.data(), count}, first * stored.cols);
  };
  try {
    Passes(*this, step, rows).run(nothing, compare);
  } catch (const Rejection&) {
    return "";  // not stored: the digests say all there is
  }
  const Digest stored =
      log_.published({log_.grid().step_leaf(step.step), role_of(side), boundary}, stored_digest.finish());
  if (!difference || stored != committed(step, side, boundary)) return "";
  return "; " + *difference;
}

void CellReplay::check_end(std::int64_t s, bool asked) {
  const auto b = static_cast<std::size_t>(block_->index());
  const Digest recorded = log_.state(s + 1).blocks[b];
  const Digest replayed = log_.published_block(s + 1, block_->index(), block_->state());
  Judge(findings_, asked)
      .expect(replayed == recorded, Check::kUpdate, Code::kUpdate, where(cat("state ", s + 1)), [&] {
        const auto difference = state_difference(log_, source_, *block_, s + 1);
        return cat(expected_found(replayed, recorded), difference ? "; " + *difference : "");
      });
  if (asked && s + 1 == log_.grid().step_blocks()) check_rounded(log_, *block_, findings_);
}

}  // namespace aftune::audit
