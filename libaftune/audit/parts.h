#pragma once

#include <vector>

#include "audit/findings.h"
#include "audit/verdict.h"

namespace aftune::audit {

/// Takes what verdicts over some of a challenge's cells found in these cells, instead of replaying them. They
/// must be of the audit that `verdict` is of: same log, challenge, evidence, policy and verifier, and cells
/// that were drawn; a cell that two of them speak of must have come out the same. Adds their cells to
/// `verdict.sampled`, and to findings their checks of cells and their reasons. What they found in the log
/// `verdict` has found itself. Throws Error{kUsage}, naming the part by its place: parts are the auditor's
/// own files.
void take_parts(const std::vector<Verdict>& parts, const std::vector<Cell>& drawn, Verdict& verdict,
                Findings& findings);

}  // namespace aftune::audit
