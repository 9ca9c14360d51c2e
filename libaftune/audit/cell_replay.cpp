#include "audit/cell_replay.h"

#include <bit>

#include "audit/block_state.h"
#include "audit/judge.h"
#include "audit/step_rows.h"
#include "hash/blake3.h"
#include "train/engine.h"

namespace aftune::audit {

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
  StepPasses passes(log_, source_, options_.pool, *block_, step, rows);
  passes.run_and_hash();
  // Given tensors first: nothing follows from a replay of something else than what was committed.
  check_given(log_, source_, passes.given_digests, step);
  check_sums(step, asked);
  check_outputs(passes, step, rows, asked);
  if (asked) gradients_.add(*block_, options_.pool);
  finite_or_reject(where(cat("step ", t)), [&] { block_->update(step.clip); });
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

void CellReplay::check_outputs(const StepPasses& passes, const record::Step& step, const data::Rows& rows,
                               bool asked) {
  const Judge judge(findings_, asked);
  for (const auto& [which, hasher] : passes.computed_digests) {
    const auto [side, boundary] = which;
    const Digest replayed =
        log_.published({log_.grid().step_leaf(step.step), role_of(side), boundary}, hasher.finish());
    const Digest& recorded = committed_boundary(step, side, boundary);
    const bool forward = side == Side::kActivation;
    judge.expect(replayed == recorded, forward ? Check::kForward : Check::kBackward,
                 forward ? Code::kForward : Code::kBackward,
                 where(cat("step ", step.step, " ", boundary_tensor(side, boundary))),
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
    StepPasses(log_, source_, options_.pool, *block_, step, rows).run(nothing, compare);
  } catch (const Rejection&) {
    return "";  // not stored: the digests say all there is
  }
  const Digest stored =
      log_.published({log_.grid().step_leaf(step.step), role_of(side), boundary}, stored_digest.finish());
  if (!difference || stored != committed_boundary(step, side, boundary)) return "";
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
