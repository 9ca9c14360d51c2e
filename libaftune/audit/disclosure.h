#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "audit/log_view.h"
#include "audit/verdict.h"
#include "base/json.h"
#include "trace/layout.h"

namespace aftune::audit {

/// What all answers of a run together have shown of it.
struct Disclosure {
  std::int64_t cells = 0;  ///< opened, each once
  std::int64_t bracketed =
      0;  ///< not opened, but between opened ones: inputs, outputs and gradients are known
  std::int64_t of_cells = 0;  ///< of the run
  std::int64_t blocks = 0;    ///< layer blocks with a cell that is opened or bracketed
  std::int64_t of_blocks = 0;
  std::int64_t tensors = 0;  ///< handed out, each once
  std::uint64_t bytes = 0;   ///< of these tensors
};
Json to_json(const Disclosure& disclosure);
std::string describe(const Disclosure& disclosure);

/// What these opened cells disclose. Every boundary that a cell is given or computes is known from then on:
/// a cell is bracketed when all those of its stages are.
Disclosure disclosure_of(const LogView& log, const std::set<Cell>& opened);

/// Of a trace; nullopt if nothing was opened. Throws Error{kEvidence} if the log has not what was opened.
std::optional<Disclosure> disclosure_of_trace(const trace::Layout& layout);

/// The cells that the trace's answers have opened so far; none if it never was. Throws Error{kEvidence}.
std::set<Cell> disclosed_cells(const trace::Layout& layout);
/// Adds those of one more answer and returns the sum, durably, before the answer leaves the process: a count
/// may be too high after a crash, never too low. Other openers wait.
std::set<Cell> disclose(const trace::Layout& layout, const std::vector<Cell>& cells);

}  // namespace aftune::audit
