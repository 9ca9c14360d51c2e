#pragma once

#include "audit/challenge.h"
#include "audit/findings.h"
#include "audit/policy.h"

namespace aftune::audit {

/// Whether the seed is what its kind says, as far as the policy shows it: a committed one has the policy's
/// digest, a beacon's follows from the round that the policy names, and the policy allows the kind. Else
/// `coverage`: what was drawn with it is no sample. Nothing where every cell is asked for. `policy` may be
/// null.
void check_seed(const Challenge& challenge, const Policy* policy, Findings& findings);

}  // namespace aftune::audit
