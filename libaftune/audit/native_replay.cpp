#include "audit/native_replay.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "audit/block_state.h"
#include "audit/judge.h"
#include "audit/step_passes.h"
#include "audit/step_rows.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "kernels/adamw_explains.h"
#include "optim/optimizer.h"
#include "train/engine.h"

namespace aftune::audit {
namespace {

using Lean = kernels::Perturbation::Lean;

std::span<const float> values_of(const Matrix& tensor) {
  return {tensor.data(), static_cast<std::size_t>(tensor.values.size())};
}
std::span<const float> values_of(const Buffer& buffer) {
  return {buffer.data(), static_cast<std::size_t>(buffer.size())};
}

// One replay each has all results too small, and too large: what adders that cut off do to all of them.
Lean lean_of(int replay) {
  return replay == 0 ? Lean::kTowardsZero : replay == 1 ? Lean::kAwayFromZero : Lean::kRandom;
}

bool all_finite(const Buffer& buffer) {
  const auto values = values_of(buffer);
  return std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
}

}  // namespace

NativeReplay::NativeReplay(const LogView& log, TensorSource& source, const model::EngineOptions& options,
                           double bound, const Digest& key, Findings& findings, Tolerances& tolerances)
    : log_(log),
      source_(source),
      perturbation_{.bound = bound},
      options_(options),
      key_(key),
      findings_(findings),
      tolerances_(tolerances) {
  AFTUNE_CHECK(options_.profile.native && options_.pool->accelerator() == nullptr);
  options_.perturbation = &perturbation_;
}

std::string NativeReplay::where(const std::string& what) const {
  return cat("cell ", cell_.block, ",", cell_.step_block, " ", what);
}

bool NativeReplay::is_last_stage() const {
  return log_.grid().stages_of_block(cell_.block).back() == log_.grid().stages() - 1;
}

// What random numbers this cell has. The provider cannot know them before the challenge.
std::uint64_t NativeReplay::seed() const {
  Bytes material;
  append_le(material, static_cast<std::uint64_t>(cell_.block));
  append_le(material, static_cast<std::uint64_t>(cell_.step_block));
  const Digest digest = hash::blake3_keyed(key_, material);
  std::uint64_t seed = 0;
  for (int i = 0; i < 8; ++i) seed = seed << 8 | digest.bytes[static_cast<std::size_t>(i)];
  return seed;
}

void NativeReplay::run(const Cell& cell) {
  cell_ = cell;
  outputs_ = {};
  gradients_.reset();
  require_recorded(cell);
  load(cell.step_block);
  const record::Step step = log_.step(log_.grid().step_begin(cell.step_block));
  const data::Rows rows =
      load_rows(log_, source_, step,
                {.tokens = log_.grid().stages_of_block(cell.block).front() == 0, .labels = is_last_stage()});
  replay_step(step, rows);
  for (int replay = 0; replay < kReplays; ++replay) perturb(step, rows, replay);
  compare_boundaries(step, rows.size());
  compare_numbers(step);
  compare_update(step);
  if (cell.step_block + 1 == log_.grid().step_blocks()) check_rounded(log_, *end_, findings_);
}

void NativeReplay::require_recorded(const Cell& cell) {
  const std::int64_t s = cell.step_block;
  const auto lacks = [&](const std::string& what) {
    throw Rejection(Code::kAbsent, where("record"),
                    cat("native products are compared within bounds where ", what));
  };
  if (log_.grid().step_end(s) - log_.grid().step_begin(s) != 1) lacks("each step block is one step");
  if (!source_.has_state(s) || !source_.has_state(s + 1))
    lacks("the states before and after a step are kept");
  if (log_.grid().boundaries() > 0 && !source_.has_boundaries(s)) lacks("boundaries are stored");
  if (log_.manifest().recipe.optimizer != "adamw")
    throw Rejection(Code::kUnsupported, where("optimizer"),
                    "native products are compared within bounds under adamw only");
}

void NativeReplay::load(std::int64_t s) {
  block_ = model::make_block(options_, cell_.block);
  end_ = model::make_block(options_, cell_.block);
  if (s == 0) check_initialised(log_, options_, *block_, findings_);
  load_state(log_, source_, *block_, s, *options_.pool);
  findings_.held(Check::kStateBefore);
  if (s == 0) check_widened(log_, *block_, findings_);
  load_state(log_, source_, *end_, s + 1, *options_.pool);
}

// What is read is compared each time: a file that changed in between would change the tolerances.
void NativeReplay::run(StepPasses& passes, const record::Step& step, const StepPasses::Seen& computed) {
  passes.given_digests.clear();
  passes.run(
      [&](Side side, int boundary, std::int64_t, const Matrix& tensor) {
        passes.given_digests[{side, boundary}].update(tensor.bytes(), options_.pool);
      },
      computed);
  check_given(log_, source_, passes.given_digests, step);
}

void NativeReplay::replay_step(const record::Step& step, const data::Rows& rows) {
  perturbation_.active = false;
  StepPasses passes(log_, source_, options_.pool, *block_, step, rows);
  run(passes, step, [&](Side side, int boundary, std::int64_t first, const Matrix& tensor) {
    const auto [at, is_new] = outputs_.boundaries.try_emplace({side, boundary});
    if (is_new) at->second = Spread({rows.size(), tensor.cols});
    at->second.set(first * tensor.cols, values_of(tensor));
  });
  outputs_.sums = finite_or_reject(where(cat("step ", step.step)), [&] { return block_->sum_squares(); });
  outputs_.sum_distances.resize(outputs_.sums.size());
  if (is_last_stage()) outputs_.loss = train::mean_loss(passes.row_losses, step.predicted);
  for (const model::Parameter& p : block_->parameters())
    outputs_.gradients.emplace_back(p.spec.shape).set(0, values_of(p.gradient));
  gradients_.add(*block_, options_.pool);
}

void NativeReplay::perturb(const record::Step& step, const data::Rows& rows, int replay) {
  perturbation_ = {.active = true,
                   .bound = perturbation_.bound,
                   .lean = lean_of(replay),
                   .seed = seed() + static_cast<std::uint64_t>(replay),
                   .product = 0};
  StepPasses passes(log_, source_, options_.pool, *block_, step, rows);
  run(passes, step, [&](Side side, int boundary, std::int64_t first, const Matrix& tensor) {
    outputs_.boundaries.at({side, boundary}).add(first * tensor.cols, values_of(tensor));
  });
  std::vector<double> sums;
  try {
    sums = finite_or_reject("", [&] { return block_->sum_squares(); });
  } catch (const Rejection& rejection) {
    throw Rejection(Code::kUnsupported, where(cat("step ", step.step)),
                    cat("with perturbed products: ", rejection.reason.detail));
  }
  for (std::size_t i = 0; i < sums.size(); ++i)
    outputs_.sum_distances[i].push_back(std::fabs(sums[i] - outputs_.sums[i]));
  if (is_last_stage())
    outputs_.loss_distances.push_back(
        std::fabs(double{train::mean_loss(passes.row_losses, step.predicted)} - double{outputs_.loss}));
  for (auto& [which, spread] : outputs_.boundaries) spread.end_replay();
  const auto& parameters = block_->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    outputs_.gradients[i].add(0, values_of(parameters[i].gradient));
    outputs_.gradients[i].end_replay();
  }
}

void NativeReplay::require_tight(const Spread& spread, const std::string& at) {
  if (const auto why = spread.too_loose(tolerances_)) throw Rejection(Code::kUnsupported, at, *why);
}

void NativeReplay::compare_boundaries(const record::Step& step, std::int64_t tokens) {
  for (const auto& [which, spread] : outputs_.boundaries) {
    const Side side = which.first;
    const int boundary = which.second;
    Matrix recorded(tokens, log_.config().hidden);
    source_.read_boundary(side, step.step, boundary, tokens, 0, recorded);
    StepPasses::Digests digest;
    digest[which].update(recorded.bytes(), options_.pool);
    check_given(log_, source_, digest, step);
    const bool forward = side == Side::kActivation;
    const std::string at = where(cat("step ", step.step, " ", boundary_tensor(side, boundary)));
    require_tight(spread, at);
    const auto difference = spread.difference(values_of(recorded), tolerances_);
    Judge(findings_, true)
        .expect(!difference, forward ? Check::kForward : Check::kBackward,
                forward ? Code::kForward : Code::kBackward, at, [&] { return *difference; });
  }
}

void NativeReplay::compare_numbers(const record::Step& step) {
  const std::string at = where(cat("step ", step.step));
  const auto compare = [&](double replayed, double recorded, double tolerance, Check check, Code code,
                           const std::string& place, const char* what) {
    const double distance = std::fabs(replayed - recorded);
    Judge(findings_, true).expect(tolerances_.holds(distance, tolerance), check, code, place, [&] {
      return cat(what, ": replayed ", replayed, ", recorded ", recorded, ", the tolerance is ", tolerance);
    });
  };
  const auto& units = block_->units();
  AFTUNE_CHECK(units.size() == outputs_.sums.size());
  for (std::size_t i = 0; i < units.size(); ++i)
    compare(outputs_.sums[i], step.sums[static_cast<std::size_t>(units[i].unit)],
            Spread::tolerance_of(outputs_.sum_distances[i]), Check::kNorm, Code::kNorm,
            cat(at, " unit ", units[i].unit), "sum of squares");
  if (!is_last_stage()) return;
  // The loss is rounded to f32 at its end, which its replays may all have done alike.
  const double rounding = std::fabs(double{outputs_.loss}) * std::numeric_limits<float>::epsilon();
  compare(outputs_.loss, step.loss, Spread::tolerance_of(outputs_.loss_distances) + rounding, Check::kLoss,
          Code::kLoss, at, "loss");
}

void NativeReplay::compare_update(const record::Step& step) {
  for (std::size_t i = 0; i < block_->parameters().size(); ++i) compare_tensor(i, step);
}

// Given a gradient, adamw/1 is defined to the bit: the recorded state must be what some gradient makes of the
// one before, and that gradient within its tolerance of the replayed one.
void NativeReplay::compare_tensor(std::size_t parameter, const record::Step& step) {
  const model::Parameter& before = block_->parameters()[parameter];
  const model::Parameter& after = end_->parameters()[parameter];
  const Spread& spread = outputs_.gradients[parameter];
  const std::string at = where(cat("state ", cell_.step_block + 1, " ", before.spec.name));
  if (!all_finite(after.value) || !all_finite(after.moments[0]) || !all_finite(after.moments[1]))
    throw Rejection(Code::kNonFinite, at, "a value that is not finite");
  require_tight(spread, at);
  const kernels::AdamW op =
      optim::adamw_scalars(log_.manifest().recipe, step.step, step.lr, step.clip, before.spec);
  std::vector<double> distances(spread.values().size());
  constexpr std::int64_t kGrain = 4096;
  const std::int64_t count = std::ssize(distances);
  options_.pool->run((count + kGrain - 1) / kGrain, [&](std::int64_t chunk) {
    for (std::int64_t e = chunk * kGrain; e < std::min(count, (chunk + 1) * kGrain); ++e) {
      const auto distance =
          kernels::adamw_explains(op, {before.value[e], before.moments[0][e], before.moments[1][e]},
                                  {after.value[e], after.moments[0][e], after.moments[1][e]},
                                  spread.values()[static_cast<std::size_t>(e)]);
      distances[static_cast<std::size_t>(e)] = distance.value_or(HUGE_VAL);
    }
  });
  const Judge judge(findings_, true);
  const auto none = std::find(distances.begin(), distances.end(), HUGE_VAL);
  judge.expect(none == distances.end(), Check::kUpdate, Code::kUpdate, at, [&] {
    return cat("element ", index_text(before.spec.shape, none - distances.begin()),
               ": no gradient gives this update");
  });
  const auto difference = spread.difference(distances, step.clip, tolerances_);
  judge.expect(!difference, Check::kUpdate, Code::kUpdate, at,
               [&] { return "its gradient: " + *difference; });
}

}  // namespace aftune::audit
