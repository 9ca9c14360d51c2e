#pragma once

#include <cstdint>

#include "audit/findings.h"
#include "audit/log_view.h"
#include "base/error.h"

namespace aftune::audit {

/// Runs body, which reads a leaf; an Error about the provider's bytes becomes a `closing` finding at that
/// line.
template <class Body>
bool readable(Findings& findings, std::int64_t leaf, const Body& body) {
  try {
    body();
    findings.held(Check::kClosing);
    return true;
  } catch (const Error& e) {
    if (e.fault() != Fault::kEvidence && e.fault() != Fault::kUsage) throw;
    findings.failed(Check::kClosing, Code::kClosing, LogView::line(leaf), e.what());
    return false;
  }
}

}  // namespace aftune::audit
