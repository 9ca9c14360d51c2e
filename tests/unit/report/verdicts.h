#pragma once

#include "audit/verdict.h"

namespace aftune::report {

/// A concluded verdict of 4 x 2 cells: one checked, one rejected, one unanswered, the rest not sampled.
inline audit::Verdict rejected_verdict() {
  audit::Verdict v;
  v.grid = {.layers = 2, .tied = false, .layers_per_block = 1, .steps = 4, .steps_per_block = 2};
  v.cells = v.grid.cells();
  v.checked = 1;
  v.sampled = {{{0, 1}, audit::CellResult::kChecked, Digest{}},
               {{1, 0}, audit::CellResult::kRejected, {}},
               {{2, 1}, audit::CellResult::kUnanswered, {}}};
  v.reasons = {{audit::Code::kUpdate, "cell 1,0 state 1", "expected a, found b"},
               {audit::Code::kRecreate, "step 3", "expected c, found d"}};
  v.confidence = 0.125;
  v.attacker = "at least 1 of 8 cells is bad";
  v.one_cell = 0.1;
  v.one_column = 1.0 / 3;
  v.unchecked = {"data: no --data"};
  v.checks[audit::Check::kSignature] = {1, 0};
  v.checks[audit::Check::kUpdate] = {2, 1};
  v.origin = "audit.example/acme/00112233445566778899aabbccddeeff";
  v.root = std::string(64, 'a');
  v.seed_kind = "given";
  v.bound["note"] = std::string(64, 'b');
  conclude(v, 3);
  return v;
}

inline audit::Verdict accepted_verdict() {
  audit::Verdict v = rejected_verdict();
  v.reasons.clear();
  v.checks[audit::Check::kUpdate] = {2, 0};
  v.sampled.resize(1);
  conclude(v, 1);
  return v;
}

/// Text that would break XML, HTML or a terminal where it is not made harmless.
inline constexpr std::string_view kHostile =
    "<b a='1' "
    "c=\"2\">&amp;]]>\x1b["
    "31m\x01\n\r\t\x7f\xc2\x9b\xff\xc3\xe2\x80\xae\xef\xbf\xbe\xed\xa0\x80\xf4\x90\x80\x80 \xc3\xa9";

}  // namespace aftune::report
