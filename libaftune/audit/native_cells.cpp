#include "audit/native_cells.h"

#include <algorithm>
#include <new>
#include <set>

#include "audit/native_replay.h"
#include "audit/rejection.h"
#include "base/error.h"
#include "kernels/native.h"

namespace aftune::audit {
namespace {

std::string text(const record::NativeMachine& machine) {
  return cat(machine.device, ", compute capability ", machine.capability, ", ", machine.library);
}

// Of a replay whose bits may differ for no one's fault, these say nothing.
bool is_of_products(Code code) {
  const std::set<Code> codes = {Code::kForward, Code::kBackward, Code::kLoss,     Code::kNorm,
                                Code::kUpdate,  Code::kRecreate, Code::kNonFinite};
  return codes.count(code) != 0;
}

/// Bit for bit, all cells or none of them. Damage that it meets is reported either way.
std::optional<std::vector<CellVerdict>> replay_bits(const LogView& log, TensorSource& source,
                                                    const model::EngineOptions& engine,
                                                    const std::vector<Cell>& cells,
                                                    const ReplayOptions& options, Findings& findings,
                                                    Progress& progress) {
  Verdict trial;
  Findings of_trial(trial);
  auto results = replay_cells(log, source, engine, cells, options, of_trial, progress);
  const bool all = std::all_of(results.begin(), results.end(),
                               [](const CellVerdict& v) { return v.result == CellResult::kChecked; });
  if (all && trial.reasons.empty()) {
    findings.merge(trial);
    return results;
  }
  for (const Reason& reason : trial.reasons)
    if (!is_of_products(reason.code)) findings.add(reason.code, reason.where, reason.detail);
  return std::nullopt;
}

/// Why the bounds are of no use; empty if they are.
std::string why_unbounded(const Bounds* bounds, const record::NativeMachine& machine, bool tried) {
  if (bounds == nullptr)
    return cat(tried ? "not bit for bit on this machine, although it is as the run's"
                     : "this machine is not the run's",
               " (", text(machine), "), and no bounds were given: --bounds");
  if (!(bounds->machine == machine))
    return cat("the bounds are of ", text(bounds->machine), ", the run is of ", text(machine));
  return "";
}

class WithinBounds {
 public:
  WithinBounds(const LogView& log, TensorSource& source, const model::EngineOptions& engine, double bound,
               const ReplayOptions& options, NativeFound& found, Findings& findings)
      // The definition is the processor's, whatever else the machine has.
      : pool_(engine.pool->threads()),
        engine_(engine),
        log_(log),
        options_(options),
        found_(found),
        findings_(findings),
        replay_(log, source, with_pool(), bound, options.key, findings, found.tolerances) {}

  CellVerdict check(const Cell& cell) {
    CellVerdict result{cell, CellResult::kUnanswered, {}};
    // Two states, and of gradients and boundaries the replay's, its distances and what is compared.
    const std::uint64_t bytes = 3 * replay_bytes(log_, cell.block);
    const std::string where = cat("cell ", cell.block, ",", cell.step_block);
    if (options_.max_memory != 0 && bytes > options_.max_memory) {
      findings_.add(Code::kTooLarge, where, cat("takes ", bytes, " bytes, more than ", options_.max_memory));
      return result;
    }
    try {
      replay_.run(cell);
      result.result = CellResult::kChecked;
      result.replay = replay_.replay_value(options_.key, cell);
      ++found_.within_bounds;
    } catch (const Rejection& rejection) {
      report(rejection, findings_);
      if (class_of(rejection.reason.code) == ReasonClass::kFraud) result.result = CellResult::kRejected;
    } catch (const std::bad_alloc&) {
      findings_.add(Code::kTooLarge, where, "took more memory than there is");
    }
    return result;
  }

 private:
  const model::EngineOptions& with_pool() {
    engine_.pool = &pool_;
    return engine_;
  }

  ThreadPool pool_;
  model::EngineOptions engine_;
  const LogView& log_;
  const ReplayOptions& options_;
  NativeFound& found_;
  Findings& findings_;
  NativeReplay replay_;
};

}  // namespace

bool is_machine_of(const ThreadPool& pool, const record::NativeMachine& of_run) {
  if (pool.accelerator() == nullptr) return false;
  const kernels::NativeMachine ours = kernels::native_machine(pool);
  return of_run == record::NativeMachine{ours.device, ours.capability, ours.library};
}

std::vector<CellVerdict> replay_native_cells(const LogView& log, TensorSource& source,
                                             const model::EngineOptions& engine, const Bounds* bounds,
                                             const std::vector<Cell>& cells, const ReplayOptions& options,
                                             NativeFound& found, Findings& findings, Progress& progress) {
  const bool same = is_machine_of(*engine.pool, found.machine);
  if (same) {
    auto results = replay_bits(log, source, engine, cells, options, findings, progress);
    if (results) {
      found.bit_for_bit = std::ssize(*results);
      return *std::move(results);
    }
  }
  std::vector<CellVerdict> results;
  if (const std::string why = why_unbounded(bounds, found.machine, same); !why.empty()) {
    findings.add(Code::kAbsent, "native products", why);
    for (const Cell& cell : cells) results.push_back({cell, CellResult::kUnanswered, {}});
    return results;
  }
  WithinBounds within(log, source, engine, bounds->bound, options, found, findings);
  for (const Cell& cell : cells) {
    results.push_back(within.check(cell));
    progress.update(std::ssize(results));
  }
  return results;
}

}  // namespace aftune::audit
