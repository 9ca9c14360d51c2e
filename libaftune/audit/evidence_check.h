#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "audit/evidence_file.h"
#include "audit/findings.h"
#include "audit/log_view.h"
#include "audit/seal_check.h"

namespace aftune::audit {

/// The evidence speaks of the checkpoint that the challenge was made for, and so does the auditor's own copy
/// of it. False, with a reason, if the provider answered for another one: nothing in it can then be checked.
[[nodiscard]] bool check_evidence_note(const VerifyOptions& options, const EvidenceFile& evidence,
                                       const Sealed& sealed, Findings& findings);

/// The opened leaves by index, each proved in the sealed log at its own index. nullopt, with reasons, if one
/// is not, or if the leaves that every audit needs are not among them.
std::optional<std::map<std::int64_t, std::string>> check_opened_leaves(const EvidenceFile& evidence,
                                                                       const Sealed& sealed,
                                                                       Findings& findings);

/// The whole log, which came beside the evidence: `log-root`, if it is the sealed one. Its root alone is
/// signed, and whoever carried the file could have changed it: another log is `unattributed`. Throws
/// Error{kUsage} if it is absent: the path is the auditor's own.
std::optional<SealedLog> check_given_log(const fs::path& path, const Sealed& sealed, Findings& findings,
                                         Growth growth = Growth::kEnded);

/// Those of `cells` whose leaves are at hand. The others are unanswered, with a reason each.
std::vector<Cell> without_missing_leaves(const LogView& log, const std::vector<Cell>& cells,
                                         Findings& findings, std::vector<CellVerdict>& unanswered);

}  // namespace aftune::audit
