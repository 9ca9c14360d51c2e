#pragma once

#include <set>

#include "audit/findings.h"
#include "audit/policy.h"
#include "tensor/tensor.h"

namespace aftune::audit {

/// An audit that has been made: what was asked for, and what of it was replayed and found right.
struct Audited {
  const record::Grid& grid;
  DType exported;  ///< of the run's export
  const Plan& plan;
  std::int64_t asked = 0;  ///< distinct cells
  const std::set<Cell>& checked;
  bool final_params = false;  ///< those of every block were compared with the export
};

/// The plan less what was not checked: what the odds of a verdict are of.
Plan effective_plan(const Audited& audited);

/// What the policy asks of the audit, whatever the command line said: `coverage` where it was weaker. Cells
/// that were asked for and not checked count as not drawn.
void check_audit_terms(const Policy& policy, const Audited& audited, Findings& findings);

}  // namespace aftune::audit
