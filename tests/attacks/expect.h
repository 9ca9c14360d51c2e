#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "attacks/rows.h"
#include "audit/verdict.h"
#include "audit/verify.h"

namespace aftune::attacks {

inline bool leaves_open(const audit::Verdict& verdict, const std::string& prefix) {
  return std::any_of(verdict.unchecked.begin(), verdict.unchecked.end(),
                     [&](const std::string& item) { return item.starts_with(prefix); });
}

/// The first reason with this code; nullptr if there is none.
inline const audit::Reason* find_reason(const audit::Verdict& verdict, audit::Code code) {
  for (const audit::Reason& reason : verdict.reasons)
    if (reason.code == code) return &reason;
  return nullptr;
}

/// Not ACCEPT, as the code's class demands, and every reason is this code; `where` names the object. A cheat.
inline void expect_only(const audit::Verdict& verdict, audit::Code code, const std::string& where = "") {
  const auto outcome =
      class_of(code) == audit::ReasonClass::kAbsent ? audit::Outcome::kIncomplete : audit::Outcome::kReject;
  const bool only = !verdict.reasons.empty() &&
                    std::all_of(verdict.reasons.begin(), verdict.reasons.end(),
                                [&](const audit::Reason& reason) { return reason.code == code; });
  const bool there = where.empty() ||
                     (!verdict.reasons.empty() && verdict.reasons[0].where.find(where) != std::string::npos);
  EXPECT_EQ(verdict.outcome, outcome) << describe(verdict);
  EXPECT_TRUE(only) << name(code) << " alone expected in\n" << describe(verdict);
  EXPECT_TRUE(there) << where << " expected in\n" << describe(verdict);
  cheat(verdict.outcome == outcome && only && there);
}

/// REJECT, and this code is among the reasons, at this object. A cheat.
inline void expect_among(const audit::Verdict& verdict, audit::Code code, const std::string& where = "") {
  const bool found = std::any_of(verdict.reasons.begin(), verdict.reasons.end(), [&](const audit::Reason& r) {
    return r.code == code && r.where.find(where) != std::string::npos;
  });
  EXPECT_EQ(verdict.outcome, audit::Outcome::kReject) << describe(verdict);
  EXPECT_TRUE(found) << name(code) << " at " << where << " in\n" << describe(verdict);
  cheat(verdict.outcome == audit::Outcome::kReject && found);
}

}  // namespace aftune::attacks
