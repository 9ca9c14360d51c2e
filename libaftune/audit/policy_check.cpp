#include "audit/policy_check.h"

#include <algorithm>

#include "audit/planning.h"
#include "base/error.h"

namespace aftune::audit {
namespace {

void check_plan(const WantedPlan& wanted, const Audited& audited, Findings& findings) {
  const Plan plan = effective_plan(audited);
  const double found = detection_probability(plan, damage_of(wanted.attacker, audited.grid), audited.grid);
  // Negated, so that a NaN is not enough. Rounding must not refuse a plan that was made for this confidence.
  if (!(found >= wanted.confidence - 1e-12))
    findings.add(Code::kCoverage, "plan",
                 cat("detects with probability ", found, " that ", describe(wanted.attacker, audited.grid),
                     "; the policy asks for ", wanted.confidence));
  const auto stratum = [&](const char* name, std::int64_t least, std::int64_t drawn, std::int64_t total) {
    if (!plan.all && drawn < std::min(least, total))
      findings.add(Code::kCoverage, "plan", cat(drawn, " cells of ", name, ", the policy asks for ", least));
  };
  const Plan& least = wanted.least;
  stratum("inputs", least.inputs, plan.inputs, audited.grid.step_blocks());
  stratum("objective", least.objective, plan.objective, audited.grid.step_blocks());
  stratum("ends", least.ends, plan.ends, audited.grid.blocks());
}

// A 16-bit export is the rounded last state, which its parameters show, or a replayed cell of the last row.
void check_final_params(const Audited& audited, Findings& findings) {
  if (audited.exported == DType::kF32 || audited.final_params) return;
  const std::int64_t last_row = audited.grid.step_blocks() - 1;
  std::int64_t shown = 0;
  for (const Cell& cell : audited.checked) shown += cell.step_block == last_row;
  if (shown < audited.grid.blocks())
    findings.add(Code::kAbsent, "export",
                 cat("the policy asks for all final parameters; those of ", shown, " of ",
                     audited.grid.blocks(), " blocks were compared"));
}

// No draw keeps to it, so it is the reader of the verdict who has to know.
void check_disclosure(std::int64_t most, const Audited& audited, Findings& findings) {
  std::set<int> blocks;
  for (const Cell& cell : audited.checked) blocks.insert(cell.block);
  if (std::ssize(blocks) > most)
    findings.unchecked(
        cat("disclosure: cells of ", blocks.size(), " layer blocks were opened, the policy allows ", most));
}

}  // namespace

Plan effective_plan(const Audited& audited) {
  const std::int64_t checked = std::ssize(audited.checked);
  if (checked == audited.grid.cells()) return {.all = true};
  return without(audited.plan, audited.asked - checked, audited.grid);
}

void check_audit_terms(const Policy& policy, const Audited& audited, Findings& findings) {
  const std::int64_t checked = std::ssize(audited.checked), least = policy.min_cells.value_or(0);
  if (checked < least)
    findings.add(Code::kCoverage, "cells", cat("checked ", checked, ", the policy asks for ", least));
  if (policy.plan) check_plan(*policy.plan, audited, findings);
  if (policy.require_final_params) check_final_params(audited, findings);
  if (policy.max_blocks_disclosed) check_disclosure(*policy.max_blocks_disclosed, audited, findings);
}

}  // namespace aftune::audit
