#include "audit/verdict.h"

#include <algorithm>

#include "base/error.h"

namespace aftune::audit {
namespace {

struct CodeInfo {
  Code code;
  std::string_view name;
  ReasonClass reason_class;
};

constexpr CodeInfo kCodes[] = {
    {Code::kSignature, "signature", ReasonClass::kFraud},
    {Code::kLogRoot, "log-root", ReasonClass::kFraud},
    {Code::kClosing, "closing", ReasonClass::kFraud},
    {Code::kPolicy, "policy", ReasonClass::kFraud},
    {Code::kOrder, "order", ReasonClass::kFraud},
    {Code::kData, "data", ReasonClass::kFraud},
    {Code::kSchedule, "schedule", ReasonClass::kFraud},
    {Code::kStateBefore, "state-before", ReasonClass::kFraud},
    {Code::kForward, "forward", ReasonClass::kFraud},
    {Code::kLoss, "loss", ReasonClass::kFraud},
    {Code::kBackward, "backward", ReasonClass::kFraud},
    {Code::kNorm, "norm", ReasonClass::kFraud},
    {Code::kUpdate, "update", ReasonClass::kFraud},
    {Code::kExport, "export", ReasonClass::kFraud},
    {Code::kRecreate, "recreate", ReasonClass::kFraud},
    {Code::kNonFinite, "non-finite", ReasonClass::kFraud},
    {Code::kEquivocation, "equivocation", ReasonClass::kFraud},
    {Code::kPrompt, "prompt", ReasonClass::kFraud},
    {Code::kSampling, "sampling", ReasonClass::kFraud},
    {Code::kText, "text", ReasonClass::kFraud},
    {Code::kReceipt, "receipt", ReasonClass::kFraud},
    {Code::kLineage, "lineage", ReasonClass::kFraud},
    {Code::kOp, "op", ReasonClass::kFraud},
    {Code::kFormat, "format", ReasonClass::kEvidence},
    {Code::kEvidence, "evidence", ReasonClass::kEvidence},
    {Code::kAbsent, "absent", ReasonClass::kAbsent},
    {Code::kUnattributed, "unattributed", ReasonClass::kAbsent},
    {Code::kTooLarge, "too-large", ReasonClass::kAbsent},
    {Code::kUnsupported, "unsupported", ReasonClass::kAbsent},
    {Code::kCoverage, "coverage", ReasonClass::kAbsent},
};

const CodeInfo& info(Code code) {
  for (const CodeInfo& entry : kCodes)
    if (entry.code == code) return entry;
  AFTUNE_CHECK(false && "a code without an entry");
  return kCodes[0];
}

Json checks_json(const std::map<Check, CheckCount>& checks) {
  Json out = Json::object();
  for (const auto& [check, count] : checks)
    out[std::string(name(check))] = {{"done", count.done}, {"failed", count.failed}};
  return out;
}

Json reasons_json(const std::vector<Reason>& reasons) {
  Json out = Json::array();
  for (const Reason& reason : reasons)
    out.push_back({{"code", name(reason.code)},
                   {"class", name(class_of(reason.code))},
                   {"where", reason.where},
                   {"detail", reason.detail}});
  return out;
}

Json unanswered_json(const Verdict& verdict) {
  Json out = Json::array();
  for (const Cell& cell : unanswered(verdict)) out.push_back({cell.block, cell.step_block});
  return out;
}

Json sampled_json(const std::vector<CellVerdict>& sampled) {
  Json out = Json::array();
  for (const CellVerdict& v : sampled)
    out.push_back({{"block", v.cell.block},
                   {"step_block", v.cell.step_block},
                   {"result", name(v.result)},
                   {"replay", v.replay ? Json(to_hex(*v.replay)) : Json()}});
  return out;
}

Json grid_json(const record::Grid& grid) {
  if (grid.steps == 0) return nullptr;
  return {{"blocks", grid.blocks()}, {"step_blocks", grid.step_blocks()},
          {"steps", grid.steps},     {"steps_per_block", grid.steps_per_block},
          {"layers", grid.layers},   {"layers_per_block", grid.layers_per_block},
          {"tied", grid.tied}};
}

Json tolerance_json(const std::optional<NativeFound>& native) {
  if (!native) return nullptr;
  return {{"device", native->machine.device},
          {"capability", native->machine.capability},
          {"library", native->machine.library},
          {"bounds", native->bounds ? Json(to_hex(*native->bounds)) : Json()},
          {"bit_for_bit", native->bit_for_bit},
          {"within_bounds", native->within_bounds},
          {"worst", native->tolerances.worst},
          {"loosest", native->tolerances.loosest}};
}

}  // namespace

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAccept:
      return "ACCEPT";
    case Outcome::kReject:
      return "REJECT";
    case Outcome::kIncomplete:
      break;
  }
  return "INCOMPLETE";
}

std::string_view name(Check check) {
  constexpr std::string_view kNames[] = {"signature", "log-root", "closing",      "policy",  "order",
                                         "data",      "schedule", "state-before", "forward", "loss",
                                         "backward",  "norm",     "update",       "edges",   "export",
                                         "prompt",    "sampling", "text",         "receipt", "lineage"};
  return kNames[static_cast<std::size_t>(check)];
}

std::string_view name(Code code) {
  return info(code).name;
}

ReasonClass class_of(Code code) {
  return info(code).reason_class;
}

std::string_view name(ReasonClass c) {
  switch (c) {
    case ReasonClass::kFraud:
      return "fraud";
    case ReasonClass::kEvidence:
      return "evidence";
    case ReasonClass::kAbsent:
      break;
  }
  return "absent";
}

std::string_view name(CellResult result) {
  switch (result) {
    case CellResult::kChecked:
      return "checked";
    case CellResult::kRejected:
      return "rejected";
    case CellResult::kUnanswered:
      break;
  }
  return "unanswered";
}

std::vector<Cell> unanswered(const Verdict& verdict) {
  std::vector<Cell> cells;
  for (const CellVerdict& v : verdict.sampled)
    if (v.result == CellResult::kUnanswered) cells.push_back(v.cell);
  return cells;
}

void conclude(Verdict& verdict, std::int64_t asked) {
  verdict.asked = asked;
  if (verdict.reasons.empty() && (verdict.checked < asked || verdict.checked <= 0))
    verdict.reasons.push_back(
        {Code::kCoverage, "cells", cat("checked ", verdict.checked, " of ", asked, " cells asked for")});
  const bool wrong = std::any_of(verdict.reasons.begin(), verdict.reasons.end(),
                                 [](const Reason& r) { return class_of(r.code) != ReasonClass::kAbsent; });
  verdict.outcome = wrong                     ? Outcome::kReject
                    : verdict.reasons.empty() ? Outcome::kAccept
                                              : Outcome::kIncomplete;
}

Json to_json(const Verdict& verdict) {
  return {{"verdict", name(verdict.outcome)},
          {"reasons", reasons_json(verdict.reasons)},
          {"coverage",
           {{"cells", verdict.cells},
            {"asked", verdict.asked},
            {"checked", verdict.checked},
            {"unanswered", unanswered_json(verdict)}}},
          {"grid", grid_json(verdict.grid)},
          {"sampled", sampled_json(verdict.sampled)},
          {"confidence", verdict.confidence},
          {"attacker", verdict.attacker},
          {"one_cell", verdict.one_cell},
          {"one_column", verdict.one_column},
          {"unchecked", verdict.unchecked},
          {"checks", checks_json(verdict.checks)},
          {"log_checks", checks_json(verdict.log_checks)},
          {"origin", verdict.origin},
          {"root", verdict.root},
          {"seed_kind", verdict.seed_kind},
          {"comparison", verdict.native ? "tolerance" : "exact"},
          {"tolerance", tolerance_json(verdict.native)},
          {"bound", verdict.bound}};
}

}  // namespace aftune::audit
