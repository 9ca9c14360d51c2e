#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "record/serving.h"
#include "seal/note.h"
#include "trace/layout.h"

namespace aftune::trace {

/// Whether the log of a trace directory begins as that of a serving period. False if it cannot be told.
bool is_serving_trace(const Layout& layout);

/// What the trace of a serving period says of itself. Nothing here is checked against anything.
struct ServingOverview {
  record::ServingManifest manifest;
  std::int64_t leaves = 0;
  std::string log_root;  ///< hex
  bool torn = false;
  bool ended = false;
  std::optional<seal::Checkpoint> checkpoint;
  std::int64_t answers = 0, prompt_tokens = 0, answer_tokens = 0;
  std::int64_t journal_lines = 0;
  std::uint64_t log_bytes = 0, journal_bytes = 0;
};

/// Throws Error{kUsage} if there is no trace, Error{kEvidence} if its log is malformed.
ServingOverview serving_overview(const Layout& layout);
Json to_json(const ServingOverview& overview);
/// A few lines for a person.
std::string describe(const ServingOverview& overview);

}  // namespace aftune::trace
