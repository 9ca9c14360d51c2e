#pragma once

#include "audit/audit_run.h"
#include "audit/verdict.h"
#include "audit/verify.h"

namespace aftune::audit {

/// Whether what is to be verified is of a serving period, by its first leaf as it is at hand. If that cannot
/// be read, whether there are receipts or a lineage to hold against it: the audit then says what is wrong.
bool is_of_serving(const VerifyOptions& options, const OpenedEvidence& evidence);

/// verify() of a serving period. A trace needs options.model: the weights are not in it.
Verdict verify_serving(const VerifyOptions& options, OpenedEvidence evidence);

}  // namespace aftune::audit
