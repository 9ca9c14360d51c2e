#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "audit/log_view.h"
#include "audit/serving_log.h"
#include "audit/verdict.h"
#include "base/files.h"
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
  std::int64_t rows = 0;     ///< of the data set, each once
  std::uint64_t row_bytes = 0;
  bool final_params = false;  ///< all parameters of the last state, which are then among the tensors
};
Json to_json(const Disclosure& disclosure);
std::string describe(const Disclosure& disclosure);

/// What answers have handed out.
struct HandedOut {
  std::set<Cell> cells = {};
  std::map<std::int64_t, std::uint64_t> rows = {};  ///< of the data set: bytes of each, by number

  bool final_params = false;  ///< every parameter of the last state

  bool empty() const { return cells.empty(); }
  void add(const HandedOut& more);
};

/// What this discloses. Every boundary that a cell is given or computes is known from then on: a cell is
/// bracketed when all those of its stages are.
Disclosure disclosure_of(const LogView& log, const HandedOut& out);
/// The same of answers: a cell of one is given the boundary before it, and computes the one after it.
Disclosure disclosure_of(const ServingLog& log, const HandedOut& out);

/// Of a trace; nullopt if nothing was opened. Throws Error{kEvidence} if the log has not what was opened.
std::optional<Disclosure> disclosure_of_trace(const trace::Layout& layout);

/// What the answers of a run have handed out so far, from the file that remembers it; nothing if there is no
/// such file. Throws Error{kEvidence}.
HandedOut handed_out(const fs::path& file);
/// Adds one more answer and returns the sum, durably, before the answer leaves the process: a count may be
/// too high after a crash, never too low. Other openers wait.
HandedOut hand_out(const fs::path& file, const HandedOut& answer);
/// Throws as hand_out() would for a file of another kind, and Error{kUsage} if it could not write there: so
/// that nobody works in vain.
void require_countable(const fs::path& file);

}  // namespace aftune::audit
