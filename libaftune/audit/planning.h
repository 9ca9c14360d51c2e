#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "audit/attacker.h"
#include "audit/challenge.h"
#include "record/leaves.h"
#include "seal/note.h"
#include "trace/log.h"

namespace aftune::audit {

/// P(the plan draws at least one bad cell). Each stream of the draw counts by the hypergeometric of what it
/// draws from; they are independent. `ends` counts only against an attacker who made all of both rows bad:
/// any other one keeps clear of them.
double detection_probability(const Plan& plan, const Damage& damage, const record::Grid& grid);

/// Strata that the auditor chose; those left open are sized by plan_for().
struct Strata {
  std::optional<std::int64_t> inputs = std::nullopt;
  std::optional<std::int64_t> objective = std::nullopt;
  std::int64_t ends = 0;
};

/// The smallest plan that finds the attacker with probability at least `confidence`, or the largest there is.
/// `inputs` and `objective` are sized for a lie in their whole column, one cell; against poisoned rows for a
/// lie in as many step blocks. Then as many uniform cells as are missing. Without a grid: enough for a run of
/// any size (drawing without replacement only finds more); Error{kUsage} for an attacker of whom that cannot
/// be said.
Plan plan_for(double confidence, const Attacker& attacker, const Strata& strata,
              const std::optional<record::Grid>& grid);

/// What a plan is worth on a run.
struct Odds {
  std::int64_t total = 0;
  std::int64_t bad = 0;      ///< the attacker's bad cells
  std::int64_t uniform = 0;  ///< cells drawn uniformly
  std::string attacker;      ///< in words
  double detection = 0;
  double one_cell = 0;          ///< an inner one: only the uniform draw finds it
  double one_column = 0;        ///< an inner column: only the uniform draw finds it
  double inputs_column = 0;     ///< the first stage, throughout
  double objective_column = 0;  ///< the last stage, throughout
};
Odds odds_of(const Plan& plan, const record::Grid& grid, const Attacker& attacker);

/// `plan` less `missing` cells that were asked for and not checked, wherever that weakens it.
Plan without(Plan plan, std::int64_t missing, const record::Grid& grid);

/// The manifest of the run that `note` seals, from its first leaf and the proof of it, or from the whole log.
/// Error{kEvidence} if they are not what the note seals.
record::Manifest proved_manifest(std::string_view note, std::string_view manifest_leaf,
                                 std::string_view proof);
record::Manifest sealed_manifest(std::string_view note, const trace::Log& log);

}  // namespace aftune::audit
