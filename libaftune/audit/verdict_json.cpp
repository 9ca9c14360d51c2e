#include <algorithm>
#include <cmath>

#include "audit/verdict.h"
#include "base/error.h"
#include "base/printable.h"

namespace aftune::audit {
namespace {

// What no run of this software goes beyond. With these, cells() cannot overflow.
constexpr std::int64_t kMostLayers = std::int64_t{1} << 20;
constexpr std::int64_t kMostSteps = std::int64_t{1} << 40;

/// The enumerator of that name, among those from 0 to `last`.
template <class Enum>
Enum named(std::string_view what, std::string_view given, Enum last) {
  for (int i = 0; i <= static_cast<int>(last); ++i)
    if (name(static_cast<Enum>(i)) == given) return static_cast<Enum>(i);
  fail(Fault::kEvidence, "verdict: ", what, " \"", printable(given), "\" is not known");
}

double probability(Fields& fields, std::string_view key) {
  const Json& value = fields.at(key);
  // Negated, so that a NaN is refused too.
  // -0 is refused: a probability has one spelling.
  if (!value.is_number() || !(value.get<double>() >= 0 && value.get<double>() <= 1) ||
      std::signbit(value.get<double>()))
    fail(Fault::kEvidence, "verdict: \"", key, "\" is not a number from 0 to 1");
  return value.get<double>();
}

std::vector<Reason> reasons_from(const Json& list) {
  std::vector<Reason> reasons;
  for (const Json& item : list) {
    Fields fields(item, "reason");
    const Code code = named("code", fields.text("code"), Code::kCoverage);
    if (fields.text("class") != name(class_of(code)))
      fail(Fault::kEvidence, "verdict: a reason's class is not that of its code ", name(code));
    reasons.push_back({code, fields.text("where"), fields.text("detail")});
    if (reasons.back().where.empty() || reasons.back().detail.empty())
      fail(Fault::kEvidence, "verdict: a reason says nothing");
    fields.done();
  }
  return reasons;
}

record::Grid grid_from(const Json& json) {
  record::Grid grid;
  if (json.is_null()) return grid;
  Fields fields(json, "grid");
  grid.layers = static_cast<int>(fields.integer("layers", 0, kMostLayers));
  grid.layers_per_block = static_cast<int>(fields.integer("layers_per_block", 1, kMostLayers));
  grid.tied = fields.boolean("tied");
  grid.steps = fields.integer("steps", 1, kMostSteps);
  grid.steps_per_block = fields.integer("steps_per_block", 1, kMostSteps);
  const std::int64_t blocks = grid.blocks(), step_blocks = grid.step_blocks();
  fields.integer("blocks", blocks, blocks);
  fields.integer("step_blocks", step_blocks, step_blocks);
  fields.done();
  return grid;
}

CellVerdict cell_from(const Json& json, const record::Grid& grid) {
  Fields fields(json, "cell");
  CellVerdict v;
  v.cell.block = static_cast<int>(fields.integer("block", 0, std::max(0, grid.blocks() - 1)));
  v.cell.step_block = fields.integer("step_block", 0, std::max<std::int64_t>(0, grid.step_blocks() - 1));
  v.result = named("result", fields.text("result"), CellResult::kChecked);
  if (!fields.at("replay").is_null()) v.replay = fields.digest("replay");
  fields.done();
  if (v.replay && v.result != CellResult::kChecked)
    fail(Fault::kEvidence, "verdict: a replay value of a cell that was not checked");
  return v;
}

std::vector<CellVerdict> sampled_from(const Json& list, const record::Grid& grid) {
  if (!list.empty() && grid.steps == 0) fail(Fault::kEvidence, "verdict: cells of an unknown grid");
  std::vector<CellVerdict> sampled;
  for (const Json& item : list) {
    sampled.push_back(cell_from(item, grid));
    const std::size_t n = sampled.size();
    if (n > 1 && !(sampled[n - 2].cell < sampled[n - 1].cell))
      fail(Fault::kEvidence, "verdict: \"sampled\" is not in order of cells");
  }
  return sampled;
}

void read_coverage(const Json& json, Verdict& verdict) {
  Fields fields(json, "coverage");
  verdict.cells = fields.integer("cells", 0);
  verdict.asked = fields.integer("asked", 0, verdict.cells);
  verdict.checked = fields.integer("checked", 0, verdict.asked);
  fields.array("unanswered");  // compared once the verdict is whole
  fields.done();
}

std::map<Check, CheckCount> checks_from(const Json& json) {
  std::map<Check, CheckCount> checks;
  for (const auto& [key, item] : json.items()) {
    Fields fields(item, "check");
    const std::int64_t done = fields.integer("done", 0);
    checks[named("check", key, Check::kLineage)] = {done, fields.integer("failed", 0, done)};
    fields.done();
  }
  return checks;
}

std::vector<std::string> texts_from(const Json& list) {
  std::vector<std::string> texts;
  for (const Json& item : list) {
    if (!item.is_string()) fail(Fault::kEvidence, "verdict: \"unchecked\" has an entry that is not a string");
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

std::map<std::string, std::string> bound_from(const Json& json) {
  Fields fields(json, "bound");
  std::map<std::string, std::string> bound;
  for (const char* key : {"note", "challenge", "evidence", "policy", "proof"})
    if (fields.has(key)) bound[key] = to_hex(fields.digest(key));
  if (fields.has("verifier")) bound["verifier"] = fields.text("verifier");
  fields.done();
  return bound;
}

double distance_from(Fields& fields, std::string_view key) {
  const Json& value = fields.at(key);
  if (!value.is_number() || !(value.get<double>() >= 0) || std::signbit(value.get<double>()))
    fail(Fault::kEvidence, "verdict: \"", key, "\" is not a distance");
  return value.get<double>();
}

std::optional<NativeFound> tolerance_from(Fields& verdict) {
  const std::string comparison = verdict.text("comparison", 16);
  const Json& json = verdict.at("tolerance");
  if (comparison != (json.is_null() ? "exact" : "tolerance"))
    fail(Fault::kEvidence, "verdict: \"comparison\" and \"tolerance\" disagree");
  if (json.is_null()) return std::nullopt;
  Fields fields(json, "tolerance");
  NativeFound found;
  found.machine = {fields.text("device", 256), fields.text("capability", 256), fields.text("library", 256)};
  if (!fields.at("bounds").is_null()) found.bounds = fields.digest("bounds");
  found.bit_for_bit = fields.integer("bit_for_bit", 0);
  found.within_bounds = fields.integer("within_bounds", 0);
  found.tolerances = {distance_from(fields, "worst"), distance_from(fields, "loosest")};
  fields.done();
  return found;
}

std::string seed_kind_from(Fields& fields) {
  std::string kind = fields.text("seed_kind", 16);
  if (kind != "fresh" && kind != "committed" && kind != "beacon" && kind != "given")
    fail(Fault::kEvidence, "verdict: \"seed_kind\" is not fresh, committed, beacon or given");
  return kind;
}

/// The same verdict concluded anew: a file that says ACCEPT above a reason, or above cells that it does not
/// list as checked, is no verdict.
void require_concluded(const Verdict& verdict) {
  const auto checked = std::count_if(verdict.sampled.begin(), verdict.sampled.end(),
                                     [](const CellVerdict& v) { return v.result == CellResult::kChecked; });
  if (checked != verdict.checked || std::ssize(verdict.sampled) > verdict.asked)
    fail(Fault::kEvidence, "verdict: \"sampled\" and \"coverage\" disagree");
  if (verdict.grid.steps != 0 && verdict.cells != verdict.grid.cells())
    fail(Fault::kEvidence, "verdict: \"grid\" and \"coverage\" disagree");
  const auto& native = verdict.native;
  if (native && native->bit_for_bit + native->within_bounds != verdict.checked)
    fail(Fault::kEvidence, "verdict: \"tolerance\" and \"coverage\" disagree");
  if (native && native->within_bounds > 0 && !native->bounds)
    fail(Fault::kEvidence, "verdict: cells within bounds, and no bounds");
  for (const auto& [check, count] : verdict.log_checks) {
    const auto all = verdict.checks.find(check);
    if (all == verdict.checks.end() || all->second.done < count.done || all->second.failed < count.failed)
      fail(Fault::kEvidence, "verdict: \"checks\" has less than \"log_checks\" of ", name(check));
  }
  const bool failed = std::any_of(verdict.checks.begin(), verdict.checks.end(),
                                  [](const auto& check) { return check.second.failed > 0; });
  if (failed && verdict.outcome == Outcome::kAccept)
    fail(Fault::kEvidence, "verdict: ACCEPT with a check that failed");
  Verdict again = verdict;
  conclude(again, again.asked);
  if (again.outcome != verdict.outcome || again.reasons.size() != verdict.reasons.size())
    fail(Fault::kEvidence, "verdict: ", name(verdict.outcome), " does not follow from what it lists");
}

}  // namespace

Verdict verdict_from_json(const Json& json) {
  Fields fields(json, "verdict");
  Verdict verdict;
  verdict.outcome = named("outcome", fields.text("verdict"), Outcome::kIncomplete);
  verdict.reasons = reasons_from(fields.array("reasons"));
  read_coverage(fields.object("coverage"), verdict);
  verdict.grid = grid_from(fields.at("grid"));
  verdict.sampled = sampled_from(fields.array("sampled"), verdict.grid);
  verdict.confidence = probability(fields, "confidence");
  verdict.attacker = fields.text("attacker");
  verdict.one_cell = probability(fields, "one_cell");
  verdict.one_column = probability(fields, "one_column");
  verdict.unchecked = texts_from(fields.array("unchecked"));
  verdict.checks = checks_from(fields.object("checks"));
  verdict.log_checks = checks_from(fields.object("log_checks"));
  verdict.origin = fields.text("origin");
  verdict.root = fields.text("root", 64);
  if (!verdict.root.empty()) digest_from_hex(verdict.root);
  verdict.seed_kind = seed_kind_from(fields);
  verdict.native = tolerance_from(fields);
  verdict.bound = bound_from(fields.object("bound"));
  fields.done();
  require_concluded(verdict);
  if (to_json(verdict)["coverage"] != json["coverage"])
    fail(Fault::kEvidence, "verdict: \"unanswered\" and \"sampled\" disagree");
  return verdict;
}

Verdict parse_verdict(std::string_view text) {
  return verdict_from_json(
      parse_json(text, {.max_bytes = kMaxVerdictBytes, .max_depth = 6, .max_values = kMaxVerdictValues}));
}

}  // namespace aftune::audit
