#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "audit/challenge.h"
#include "seal/note.h"
#include "trace/log.h"

namespace aftune::audit {

/// Uniform cells that find an attacker who made `tampered` of all cells bad (0: one cell) with probability at
/// least `confidence`, among `total` cells. Without a total: enough for a run of any size (drawing without
/// replacement only finds more), which one bad cell does not allow: Error{kUsage}.
std::int64_t cells_for(double confidence, double tampered, std::optional<std::int64_t> total);

/// What a plan is worth on a run of `total` cells.
struct Odds {
  std::int64_t total = 0;
  std::int64_t bad = 0;      ///< the attacker's bad cells
  std::int64_t uniform = 0;  ///< cells drawn uniformly; those forced by strata do not count
  double detection = 0;
  double one_cell = 0;
  double one_column = 0;
};
Odds odds_of(const Plan& plan, const record::Grid& grid, double tampered);

/// The grid of the run that `note` seals, from its first leaf and the proof of it, or from the whole log.
/// Error{kEvidence} if they are not what the note seals.
record::Grid proved_grid(std::string_view note, std::string_view manifest_leaf, std::string_view proof);
record::Grid sealed_grid(std::string_view note, const trace::Log& log);

}  // namespace aftune::audit
