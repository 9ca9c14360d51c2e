#include "audit/planning.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "hash/merkle.h"

namespace aftune::audit {
namespace {

using Kind = Attacker::Kind;

// P(a or b) of independent events.
double either(double a, double b) {
  return a >= 1 || b >= 1 ? 1 : a + b - a * b;
}

// Smallest n with (1 - fraction)^n <= 1 - confidence.
std::int64_t draws_for(double confidence, double fraction) {
  if (fraction >= 1) return 1;
  return static_cast<std::int64_t>(std::ceil(std::log1p(-confidence) / std::log1p(-fraction)));
}

// A fraction of all cells, whatever their number; of the first column, for poisoned rows.
std::int64_t draws_in_any_run(double confidence, const Attacker& attacker) {
  switch (attacker.kind) {
    case Kind::kTampered:
    case Kind::kPoisonedRows:
      return draws_for(confidence, attacker.fraction);
    case Kind::kWholeRun:
      return 1;
    case Kind::kBadCells:
    case Kind::kSkippedSteps:
    case Kind::kChangedLayers:
      break;
  }
  fail(Fault::kUsage, "how many cells find this attacker depends on how many there are: give the manifest");
}

std::int64_t column_draws(double confidence, const Attacker& attacker,
                          const std::optional<record::Grid>& grid) {
  if (attacker.kind != Kind::kPoisonedRows) return 1;
  if (!grid) return draws_in_any_run(confidence, attacker);
  return sample_size(grid->step_blocks(), damage_of(attacker, *grid).inputs, confidence);
}

}  // namespace

double detection_probability(const Plan& plan, const Damage& damage, const record::Grid& grid) {
  if (plan.all) return damage.cells > 0 ? 1 : 0;
  const std::int64_t rows = grid.step_blocks();
  double hit = detection_probability(grid.cells(), damage.cells, plan.uniform);
  hit = either(hit, detection_probability(rows, damage.inputs, plan.inputs));
  hit = either(hit, detection_probability(rows, damage.objective, plan.objective));
  return either(hit, detection_probability(grid.blocks(), damage.ends, plan.ends));
}

Plan plan_for(double confidence, const Attacker& attacker, const Strata& strata,
              const std::optional<record::Grid>& grid) {
  Plan plan;
  plan.inputs = strata.inputs ? *strata.inputs : column_draws(confidence, attacker, grid);
  plan.objective = strata.objective ? *strata.objective : column_draws(confidence, attacker, grid);
  plan.ends = strata.ends;
  if (!grid) {
    const std::int64_t draws = draws_in_any_run(confidence, attacker);
    // The first column is a small part of the cells, so that uniform draws would find it for no known number.
    if (attacker.kind != Kind::kPoisonedRows)
      plan.uniform = draws;
    else if (plan.inputs < draws)
      fail(Fault::kUsage, "how many cells find poisoned rows besides ", plan.inputs,
           " of the first stage depends on how many there are: give the manifest");
    return plan;
  }
  const Damage damage = damage_of(attacker, *grid);
  std::int64_t low = 0, high = grid->cells();
  while (low < high) {
    plan.uniform = low + (high - low) / 2;
    if (detection_probability(plan, damage, *grid) >= confidence)
      high = plan.uniform;
    else
      low = plan.uniform + 1;
  }
  plan.uniform = low;
  return plan;
}

Odds odds_of(const Plan& plan, const record::Grid& grid, const Attacker& attacker) {
  const auto of = [&](const Damage& damage) { return detection_probability(plan, damage, grid); };
  Odds odds;
  odds.total = grid.cells();
  odds.bad = damage_of(attacker, grid).cells;
  odds.uniform = plan.all ? odds.total : std::min(plan.uniform, odds.total);
  odds.attacker = describe(attacker, grid);
  odds.detection = of(damage_of(attacker, grid));
  odds.one_cell = of({.cells = 1});
  odds.one_column = of(damage_of(Column::kInner, grid));
  odds.inputs_column = of(damage_of(Column::kFirst, grid));
  odds.objective_column = of(damage_of(Column::kLast, grid));
  return odds;
}

Plan without(Plan plan, std::int64_t missing, const record::Grid& grid) {
  if (missing <= 0) return plan;
  if (plan.all) plan = {.uniform = grid.cells()};
  const auto less = [&](std::int64_t drawn, std::int64_t total) {
    return std::max<std::int64_t>(0, std::min(drawn, total) - missing);
  };
  plan.uniform = less(plan.uniform, grid.cells());
  plan.inputs = less(plan.inputs, grid.step_blocks());
  plan.objective = less(plan.objective, grid.step_blocks());
  plan.ends = less(plan.ends, grid.blocks());
  return plan;
}

record::Manifest proved_manifest(std::string_view note, std::string_view manifest_leaf,
                                 std::string_view proof) {
  const auto checkpoint = seal::Checkpoint::parse(seal::Note::parse(note).text);
  const seal::LeafProof leaf = seal::LeafProof::parse(proof);
  const bool first = leaf.index == 0 && hash::verify_inclusion(hash::leaf_hash(manifest_leaf), 0,
                                                               checkpoint.size, leaf.proof, checkpoint.root);
  if (!first) fail(Fault::kEvidence, "the proof does not show that this is the first leaf of the sealed log");
  return record::parse_manifest(manifest_leaf);
}

record::Manifest sealed_manifest(std::string_view note, const trace::Log& log) {
  const auto checkpoint = seal::Checkpoint::parse(seal::Note::parse(note).text);
  if (checkpoint.size > log.leaves.size() || log.leaves.empty() ||
      log.tree().root(checkpoint.size) != checkpoint.root)
    fail(Fault::kEvidence, "not the log that the checkpoint seals");
  return record::parse_manifest(log.leaves.front());
}

}  // namespace aftune::audit
