#pragma once

#include "audit/findings.h"
#include "audit/log_view.h"
#include "base/files.h"

namespace aftune::audit {

/// `closing`: every leaf is the canonical form of the kind that belongs at its index, the log has exactly the
/// leaves that the manifest's numbers give, config and grid agree, lists have the lengths and roots they
/// must, and the totals of `final` are the sums over the steps. Of a log that was opened in part, the leaves
/// at hand. False if the log cannot be read any further as a run; nothing else may then be asked of it.
///
/// Sizes that the manifest claims are compared with the log that is really there before anything is
/// allocated by them.
[[nodiscard]] bool check_structure(LogView& log, Findings& findings);

/// Whether files of the trace's size can hold a model of the size that the manifest claims. Nothing of that
/// size may be allocated, or hashed, on the manifest's word alone.
[[nodiscard]] bool is_plausible_size(const LogView& log, const fs::path& trace);

/// `order`, `schedule`, `norm` (as far as the recorded sums decide) and non-finite values, on every step at
/// hand; the order where the step before is at hand too.
void check_steps(const LogView& log, Findings& findings);

/// `state-before` of state 0 from the log alone: for an f32 base, its blocks must be the base tensors with
/// zero moments. Needs the leaf of state 0.
void check_base_digests(const LogView& log, Findings& findings);

/// `export` from the log alone: the exported config and tokenizer are the manifest's, no other file takes
/// part, and for an f32 export `final`'s list is the last state's parameters, if that leaf is at hand.
void check_export_digests(const LogView& log, Findings& findings);

}  // namespace aftune::audit
