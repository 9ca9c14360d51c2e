#pragma once

#include <string>

#include "audit/verdict.h"
#include "report/run_log.h"

namespace aftune::report {

struct PageInput {
  const audit::Verdict& verdict;
  const RunLog* run = nullptr;  ///< adds recipe and loss curve
  std::string signer = {};      ///< name of the key whose signature over the verdict was checked; empty: none
};

/// The verdict as one HTML page that refers to nothing outside itself and runs no script. Everything in the
/// verdict and the log is escaped. The same input gives the same bytes.
std::string page(const PageInput& input);

}  // namespace aftune::report
