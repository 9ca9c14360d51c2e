#include "audit/parts.h"

#include <algorithm>
#include <map>

#include "base/error.h"

namespace aftune::audit {
namespace {

void require_same_audit(const Verdict& part, const Verdict& verdict) {
  const auto differs = [](const char* what) { fail(Fault::kUsage, "is of another ", what); };
  if (part.origin != verdict.origin || part.root != verdict.root) differs("log");
  if (!(part.grid == verdict.grid)) differs("grid");
  if (part.seed_kind != verdict.seed_kind || part.asked != verdict.asked) differs("draw");
  for (const char* what : {"note", "challenge", "evidence", "policy", "verifier"}) {
    const auto ours = verdict.bound.find(what), theirs = part.bound.find(what);
    const bool have = ours != verdict.bound.end(), has = theirs != part.bound.end();
    if (have != has || (have && ours->second != theirs->second)) differs(what);
  }
}

void take_cells(const Verdict& part, const std::vector<Cell>& drawn, std::map<Cell, CellVerdict>& cells) {
  for (const CellVerdict& v : part.sampled) {
    const std::string name = cat("cell ", v.cell.block, ",", v.cell.step_block);
    if (!std::binary_search(drawn.begin(), drawn.end(), v.cell)) fail(Fault::kUsage, name, " was not drawn");
    const auto [known, is_new] = cells.emplace(v.cell, v);
    if (is_new || known->second.result == CellResult::kUnanswered) {
      known->second = v;
      continue;
    }
    const bool same = v.result == known->second.result && v.replay == known->second.replay;
    if (!same && v.result != CellResult::kUnanswered)
      fail(Fault::kUsage, name, " came out otherwise in another part");
  }
}

// What the part's cells added to what its log did. Edges join cells of several parts and are counted anew.
Verdict of_cells(const Verdict& part) {
  Verdict cells;
  for (const auto& [check, all] : part.checks) {
    if (check == Check::kEdges) continue;
    CheckCount count = all;
    if (const auto log = part.log_checks.find(check); log != part.log_checks.end()) {
      count.done -= log->second.done;
      count.failed -= log->second.failed;
    }
    if (count.done > 0) cells.checks[check] = count;
  }
  // Coverage is a matter of the whole.
  for (const Reason& reason : part.reasons)
    if (reason.code != Code::kCoverage) cells.reasons.push_back(reason);
  return cells;
}

}  // namespace

void take_parts(const std::vector<Verdict>& parts, const std::vector<Cell>& drawn, Verdict& verdict,
                Findings& findings) {
  std::map<Cell, CellVerdict> cells;
  for (std::size_t i = 0; i < parts.size(); ++i)
    within(cat("part ", i + 1), [&] {
      require_same_audit(parts[i], verdict);
      take_cells(parts[i], drawn, cells);
      findings.merge(of_cells(parts[i]));
    });
  for (const auto& [cell, v] : cells) verdict.sampled.push_back(v);
}

}  // namespace aftune::audit
