#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "record/grid.h"

namespace aftune::audit {

/// The cheat that an audit is planned to find (docs/audit.odds.md). The attacker knows the plan, not the
/// seed.
struct Attacker {
  enum class Kind {
    kBadCells,       ///< `count` cells, anywhere
    kTampered,       ///< `fraction` of all cells, anywhere
    kSkippedSteps,   ///< `fraction` of the steps were not made: every cell of their step blocks is bad
    kPoisonedRows,   ///< `fraction` of the step blocks took other rows: their first stage's cells are bad
    kChangedLayers,  ///< `count` layers are others: every cell of their layer blocks is bad
    kWholeRun,       ///< every cell is bad
  };
  Kind kind = Kind::kBadCells;
  std::int64_t count = 1;  ///< at least 1
  double fraction = 0;     ///< in (0, 1]
  friend bool operator==(const Attacker&, const Attacker&) = default;
};

/// One member: {"bad_cells":4}, {"tampered":0.05}, {"skipped_steps":0.1}, {"poisoned_rows":0.1},
/// {"changed_layers":2} or {"whole_run":true}.
Json to_json(const Attacker& attacker);
/// Strict. Error{kEvidence}.
Attacker attacker_from_json(const Json& json);

/// The fewest bad cells that such an attacker has in what each stream of the draw takes from.
struct Damage {
  std::int64_t cells = 0;      ///< among all
  std::int64_t inputs = 0;     ///< in the first stage's column
  std::int64_t objective = 0;  ///< in the last stage's column
  std::int64_t ends = 0;       ///< in the first row, and as many in the last
};
Damage damage_of(const Attacker& attacker, const record::Grid& grid);

/// One whole column of the grid: the first stage's, the last stage's, or one that no stratum draws from.
enum class Column { kInner, kFirst, kLast };
Damage damage_of(Column column, const record::Grid& grid);

/// "at least 3 of 12 cells are bad", with what makes them so.
std::string describe(const Attacker& attacker, const record::Grid& grid);

}  // namespace aftune::audit
