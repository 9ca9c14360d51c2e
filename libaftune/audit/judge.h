#pragma once

#include <cstdint>
#include <string>

#include "audit/rejection.h"
#include "base/error.h"

namespace aftune::audit {

/// How a comparison inside a replay is reported: as the named check of a cell that was asked for, or, where
/// the place was only replayed to get to one, as `recreate`.
class Judge {
 public:
  Judge(Findings& findings, bool asked) : findings_(findings), asked_(asked) {}

  /// `detail` is called only on failure: it may cost a second replay. Throws Rejection.
  template <class Detail>
  void expect(bool holds, Check check, Code code, const std::string& where, const Detail& detail) const {
    if (!holds && asked_) throw Rejection(check, code, where, detail());
    if (!holds) throw Rejection(Code::kRecreate, where, cat(name(code), ": ", detail()));
    if (asked_) findings_.held(check);
  }

 private:
  Findings& findings_;
  bool asked_;
};

/// Runs body, in which the engine reports a non-finite value as Error{kUsage}.
template <class Body>
auto finite_or_reject(const std::string& where, const Body& body) {
  try {
    return body();
  } catch (const Error& e) {
    if (e.fault() != Fault::kUsage) throw;
    throw Rejection(Code::kNonFinite, where, e.what());
  }
}

}  // namespace aftune::audit
