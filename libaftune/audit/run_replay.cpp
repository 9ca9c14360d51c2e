#include "audit/run_replay.h"

#include <bit>

#include "audit/block_state.h"
#include "audit/judge.h"
#include "audit/step_rows.h"
#include "base/progress.h"
#include "hash/blake3.h"

namespace aftune::audit {

// Digests of every boundary of one step, as the engine makes them, and the bytes of those that are wanted.
class RunReplay::Observer : public train::StepObserver {
 public:
  struct Boundary {
    hash::Blake3 hash;
    bool wanted = false;
    std::int64_t cols = 0;
    Bytes bytes;
  };

  Observer(int boundaries, ThreadPool* pool)
      : activations(static_cast<std::size_t>(boundaries)),
        gradients(static_cast<std::size_t>(boundaries)),
        pool_(pool) {}
  void activation(int boundary, const Matrix& rows) override { add(activations, boundary, rows); }
  void gradient(int boundary, const Matrix& rows) override { add(gradients, boundary, rows); }

  std::vector<Boundary> activations, gradients;

 private:
  void add(std::vector<Boundary>& list, int boundary, const Matrix& rows) {
    Boundary& b = list[static_cast<std::size_t>(boundary)];
    b.hash.update(rows.bytes(), pool_);
    b.cols = rows.cols;
    if (b.wanted) b.bytes.insert(b.bytes.end(), rows.bytes().begin(), rows.bytes().end());
  }
  ThreadPool* pool_;
};

RunReplay::RunReplay(const LogView& log, TensorSource& source, const model::EngineOptions& options,
                     Findings& findings)
    : log_(log),
      source_(source),
      findings_(findings),
      engine_(options),
      gradients_(static_cast<std::size_t>(log.grid().blocks())) {}

RunReplay::~RunReplay() = default;

void RunReplay::keep(std::function<bool(Side, std::int64_t, int)> wanted, Sink sink) {
  wanted_ = std::move(wanted);
  sink_ = std::move(sink);
}

void RunReplay::load(std::int64_t s) {
  for (const auto& block : engine_.blocks()) {
    if (s == 0) check_initialised(log_, engine_.options(), *block, findings_);
    load_state(log_, source_, *block, s, *engine_.options().pool);
    findings_.held(Check::kStateBefore);
    if (s == 0) check_widened(log_, *block, findings_);
  }
}

void RunReplay::run(std::int64_t s, const std::set<int>& asked) {
  step_block_ = s;
  asked_ = asked;
  for (GradientDigest& digest : gradients_) digest.reset();
  for (std::int64_t t = log_.grid().step_begin(s); t < log_.grid().step_end(s); ++t) run_step(t);
  check_end(s);
}

void RunReplay::run_step(std::int64_t t) {
  if (interrupted()) fail(Fault::kSystem, "interrupted");
  const record::Step step = log_.step(t);
  const data::Rows rows = load_rows(log_, source_, step, {.tokens = true, .labels = true});
  Observer observer(log_.grid().boundaries(), engine_.options().pool);
  if (wanted_)
    for (int b = 0; b < log_.grid().boundaries(); ++b) {
      observer.activations[static_cast<std::size_t>(b)].wanted = wanted_(Side::kActivation, t, b);
      observer.gradients[static_cast<std::size_t>(b)].wanted = wanted_(Side::kGradient, t, b);
    }
  const train::StepResult result = finite_or_reject(cat("step ", t), [&] {
    return engine_.step(t, step.lr, step.predicted, rows, train::default_micro_batch(rows), &observer);
  });
  compare_boundaries(observer, step);
  compare_numbers(result, step);
  for (const int b : asked_) gradients_[static_cast<std::size_t>(b)].add(block(b), engine_.options().pool);
}

template <class Detail>
void RunReplay::expect(bool holds, int block, Check check, Code code, const std::string& what,
                       const Detail& detail) {
  try {
    Judge(findings_, asked_.count(block) != 0)
        .expect(holds, check, code, cat("cell ", block, ",", step_block_, " ", what), detail);
  } catch (Rejection& rejection) {
    rejection.cell = Cell{block, step_block_};
    throw;
  }
}

// In the order in which the values were computed, so that the first difference is the one that is not the
// consequence of another.
void RunReplay::compare_boundaries(Observer& observer, const record::Step& step) {
  const record::Grid& grid = log_.grid();
  const auto compare = [&](Side side, int b, int block, Observer::Boundary& boundary,
                           const Digest& recorded) {
    const bool forward = side == Side::kActivation;
    const Digest replayed =
        log_.published({grid.step_leaf(step.step), role_of(side), b}, boundary.hash.finish());
    expect(replayed == recorded, block, forward ? Check::kForward : Check::kBackward,
           forward ? Code::kForward : Code::kBackward,
           cat("step ", step.step, forward ? " activation " : " gradient ", b),
           [&] { return expected_found(replayed, recorded); });
    if (boundary.wanted) sink_(side, step.step, b, {step.tokens, boundary.cols}, std::move(boundary.bytes));
  };
  for (int b = 0; b < grid.boundaries(); ++b) {
    const auto i = static_cast<std::size_t>(b);
    compare(Side::kActivation, b, grid.block_of_stage(b), observer.activations[i], step.activations[i]);
  }
  for (int b = grid.boundaries(); b-- > 0;) {
    const auto i = static_cast<std::size_t>(b);
    compare(Side::kGradient, b, grid.block_of_stage(b + 1), observer.gradients[i], step.gradients[i]);
  }
}

void RunReplay::compare_numbers(const train::StepResult& result, const record::Step& step) {
  const record::Grid& grid = log_.grid();
  const std::string at = cat("step ", step.step);
  expect(std::bit_cast<std::uint32_t>(result.loss) == std::bit_cast<std::uint32_t>(step.loss),
         grid.block_of_stage(grid.stages() - 1), Check::kLoss, Code::kLoss, at, [&] {
           return cat("loss: replayed ", result.loss, " (", float_hex(result.loss), "), recorded ", step.loss,
                      " (", float_hex(step.loss), ")");
         });
  for (int unit = 0; unit < grid.units(); ++unit) {
    const double replayed = result.unit_sums[static_cast<std::size_t>(unit)];
    const double recorded = step.sums[static_cast<std::size_t>(unit)];
    expect(std::bit_cast<std::uint64_t>(replayed) == std::bit_cast<std::uint64_t>(recorded),
           grid.block_of_unit(unit), Check::kNorm, Code::kNorm, cat(at, " unit ", unit), [&] {
             return cat("sum of squares: replayed ", replayed, " (", double_hex(replayed), "), recorded ",
                        recorded, " (", double_hex(recorded), ")");
           });
  }
  // check_steps has compared norm and clip with the recorded sums, which are now known to be these.
}

void RunReplay::check_end(std::int64_t s) {
  const record::State state = log_.state(s + 1);
  for (const auto& block : engine_.blocks()) {
    const Digest& recorded = state.blocks[static_cast<std::size_t>(block->index())];
    const Digest replayed = log_.published_block(s + 1, block->index(), block->state());
    expect(replayed == recorded, block->index(), Check::kUpdate, Code::kUpdate, cat("state ", s + 1), [&] {
      const auto difference = state_difference(log_, source_, *block, s + 1);
      return cat(expected_found(replayed, recorded), difference ? "; " + *difference : "");
    });
    if (s + 1 == log_.grid().step_blocks() && asked_.count(block->index()) != 0)
      check_rounded(log_, *block, findings_);
  }
}

}  // namespace aftune::audit
