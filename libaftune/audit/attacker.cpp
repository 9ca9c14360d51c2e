#include "audit/attacker.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace aftune::audit {
namespace {

using Kind = Attacker::Kind;

struct KindInfo {
  Kind kind;
  std::string_view name;
  bool counted;  // else a fraction
};
constexpr KindInfo kKinds[] = {{Kind::kBadCells, "bad_cells", true},
                               {Kind::kTampered, "tampered", false},
                               {Kind::kSkippedSteps, "skipped_steps", false},
                               {Kind::kPoisonedRows, "poisoned_rows", false},
                               {Kind::kChangedLayers, "changed_layers", true}};

constexpr std::string_view kWholeRun = "whole_run";

// The fewest of `total` that make up the fraction, and at least one. A product that floating point rounded up
// must not count one more bad cell than there is: 0.07 * 100 is 7.000000000000001.
std::int64_t part_of(double fraction, std::int64_t total) {
  const double exact = fraction * static_cast<double>(total) * (1 - 1e-12);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(exact)), 1, total);
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return a / b + (a % b != 0 ? 1 : 0);
}

// The first and the last stage have one column where embeddings are tied.
Damage first_column(std::int64_t bad, const record::Grid& grid) {
  return {.cells = bad, .inputs = bad, .objective = grid.tied ? bad : 0};
}

// Skipped steps lie together, so as to fill as few step blocks as they can.
std::int64_t skipped_rows(double fraction, const record::Grid& grid) {
  return ceil_div(part_of(fraction, grid.steps), grid.steps_per_block);
}

// Changed layers lie together, so as to fill as few layer blocks as they can.
std::int64_t changed_blocks(std::int64_t layers, const record::Grid& grid) {
  return ceil_div(std::min<std::int64_t>(layers, grid.layers), grid.layers_per_block);
}

std::string cause(const Attacker& attacker, const record::Grid& grid) {
  switch (attacker.kind) {
    case Kind::kBadCells:
      return "";
    case Kind::kTampered:
      return cat(" (", attacker.fraction, " of all)");
    case Kind::kSkippedSteps:
      return cat(" (", attacker.fraction,
                 " of the steps skipped, step blocks: ", skipped_rows(attacker.fraction, grid), ")");
    case Kind::kPoisonedRows:
      return cat(" (first stage, other rows in ", attacker.fraction, " of the step blocks)");
    case Kind::kChangedLayers:
      return cat(" (layers changed: ", attacker.count,
                 ", layer blocks: ", changed_blocks(attacker.count, grid), ")");
    case Kind::kWholeRun:
      break;
  }
  return " (the whole run)";
}

}  // namespace

Json to_json(const Attacker& attacker) {
  for (const KindInfo& info : kKinds)
    if (info.kind == attacker.kind)
      return {{std::string(info.name), info.counted ? Json(attacker.count) : Json(attacker.fraction)}};
  return {{std::string(kWholeRun), true}};
}

Attacker attacker_from_json(const Json& json) {
  Fields fields(json, "attacker");
  if (json.size() != 1) fail(Fault::kEvidence, "attacker: ", json.size(), " members, not one");
  Attacker attacker;
  for (const KindInfo& info : kKinds) {
    if (!fields.has(info.name)) continue;
    attacker.kind = info.kind;
    if (info.counted) {
      attacker.count = fields.integer(info.name, 1);
      continue;
    }
    const Json& fraction = fields.at(info.name);
    if (!fraction.is_number()) fail(Fault::kEvidence, "attacker: \"", info.name, "\" is not a number");
    attacker.fraction = fraction.get<double>();
    if (!(attacker.fraction > 0 && attacker.fraction <= 1))
      fail(Fault::kEvidence, "attacker: \"", info.name, "\" is not above 0 and at most 1");
  }
  if (fields.has(kWholeRun)) {
    attacker.kind = Kind::kWholeRun;
    if (!fields.boolean(kWholeRun)) fail(Fault::kEvidence, "attacker: \"whole_run\" is not true");
  }
  fields.done();
  return attacker;
}

Damage damage_of(const Attacker& attacker, const record::Grid& grid) {
  const std::int64_t rows = grid.step_blocks();
  switch (attacker.kind) {
    case Kind::kBadCells:
      return {.cells = std::min(attacker.count, grid.cells())};
    case Kind::kTampered:
      return {.cells = part_of(attacker.fraction, grid.cells())};
    case Kind::kSkippedSteps: {
      const std::int64_t bad = skipped_rows(attacker.fraction, grid);
      return {.cells = bad * grid.blocks(), .inputs = bad, .objective = bad};
    }
    case Kind::kPoisonedRows:
      return first_column(part_of(attacker.fraction, rows), grid);
    case Kind::kChangedLayers:
      return {.cells = changed_blocks(attacker.count, grid) * rows};
    case Kind::kWholeRun:
      break;
  }
  return {.cells = grid.cells(), .inputs = rows, .objective = rows, .ends = grid.blocks()};
}

Damage damage_of(Column column, const record::Grid& grid) {
  const std::int64_t rows = grid.step_blocks();
  switch (column) {
    case Column::kInner:
      break;
    case Column::kFirst:
      return first_column(rows, grid);
    case Column::kLast:
      return {.cells = rows, .inputs = grid.tied ? rows : 0, .objective = rows};
  }
  return {.cells = rows};
}

std::string describe(const Attacker& attacker, const record::Grid& grid) {
  const std::int64_t bad = damage_of(attacker, grid).cells;
  return cat("at least ", bad, " of ", grid.cells(), bad == 1 ? " cells is bad" : " cells are bad",
             cause(attacker, grid));
}

}  // namespace aftune::audit
