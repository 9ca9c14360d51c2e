#pragma once

#include <string>

#include "audit/verdict.h"

namespace aftune::report {

/// The verdict as JUnit XML (docs/reports.md): one suite, whose test cases all pass only if the
/// verdict is ACCEPT. Well-formed XML 1.0 whatever the verdict holds; no times in it.
std::string junit(const audit::Verdict& verdict);

}  // namespace aftune::report
