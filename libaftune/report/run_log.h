#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "audit/verdict.h"
#include "base/files.h"
#include "record/leaves.h"

namespace aftune::report {

struct EvalLoss {
  std::int64_t step = 0;
  float loss = 0;
};

/// What a page shows of a run beside its verdict.
struct RunLog {
  record::Manifest manifest;
  std::vector<float> losses;  ///< of step t; any bit pattern, NaN included
  std::vector<EvalLoss> evals;
};

/// Reads log.jsonl. Throws Error{kUsage} if it is not the log that the verdict is of: its root and grid must
/// be the verdict's, or a page would show one run's curve under another's outcome. Error{kEvidence} if
/// malformed.
RunLog read_run_log(const fs::path& log, const audit::Verdict& verdict);

}  // namespace aftune::report
