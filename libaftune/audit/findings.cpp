#include "audit/findings.h"

#include <algorithm>

#include "base/error.h"

namespace aftune::audit {

void Findings::add(Code code, std::string where, std::string detail) {
  const bool by_answer = class_of(code) == ReasonClass::kEvidence || doubted_.count(code) != 0;
  if (is_providers_ && by_answer && !is_providers_()) code = Code::kUnattributed;
  for (const Reason& known : verdict_.reasons)
    if (known.code == code && known.where == where && known.detail == detail) return;
  if (verdict_.reasons.size() < kMaxReasons) {
    verdict_.reasons.push_back({code, std::move(where), std::move(detail)});
    return;
  }
  ++dropped_;
  // A verdict's outcome follows from its reasons: the first reason of a heavier class always has a place.
  const bool heavier = class_of(code) != ReasonClass::kAbsent &&
                       std::all_of(verdict_.reasons.begin(), verdict_.reasons.end(),
                                   [](const Reason& r) { return class_of(r.code) == ReasonClass::kAbsent; });
  if (heavier) verdict_.reasons.back() = {code, std::move(where), std::move(detail)};
}

void Findings::failed(Check check, Code code, std::string where, std::string detail) {
  CheckCount& count = verdict_.checks[check];
  ++count.done;
  ++count.failed;
  add(code, std::move(where), std::move(detail));
}

bool Findings::expect(bool holds, Check check, Code code, const std::string& where,
                      const std::string& detail) {
  if (holds)
    held(check);
  else
    failed(check, code, where, detail);
  return holds;
}

void Findings::merge(const Verdict& part) {
  for (const auto& [check, count] : part.checks) {
    verdict_.checks[check].done += count.done;
    verdict_.checks[check].failed += count.failed;
  }
  for (const Reason& reason : part.reasons) add(reason.code, reason.where, reason.detail);
  for (const std::string& item : part.unchecked) unchecked(item);
}

void Findings::close() {
  if (dropped_ > 0) unchecked(cat(dropped_, " further reasons are not listed"));
}

}  // namespace aftune::audit
