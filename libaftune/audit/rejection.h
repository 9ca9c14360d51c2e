#pragma once

#include <exception>
#include <optional>
#include <string>

#include "audit/findings.h"
#include "audit/verdict.h"
#include "base/files.h"

namespace aftune::audit {

/// Carries a reason from inside a replay to the loop over cells, which reports it. Never leaves verify().
class Rejection : public std::exception {
 public:
  Rejection(Code code, std::string where, std::string detail)
      : reason{code, std::move(where), std::move(detail)} {}
  Rejection(Check failed, Code code, std::string where, std::string detail)
      : reason{code, std::move(where), std::move(detail)}, check(failed) {}
  const char* what() const noexcept override { return reason.detail.c_str(); }

  Reason reason;
  std::optional<Cell> cell;  ///< the asked cell that differs, where it is known
  std::optional<Check> check;
};

inline void report(const Rejection& rejection, Findings& findings) {
  const Reason& r = rejection.reason;
  if (rejection.check)
    findings.failed(*rejection.check, r.code, r.where, r.detail);
  else
    findings.add(r.code, r.where, r.detail);
}

/// Where the auditor keeps a file is no part of a verdict.
inline std::string without_path(std::string message, const fs::path& path) {
  const std::string prefix = path.native() + ": ";
  return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
}

}  // namespace aftune::audit
