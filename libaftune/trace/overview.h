#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "record/leaves.h"
#include "seal/note.h"
#include "trace/layout.h"

namespace aftune::trace {

/// What a trace says of itself, for a person or a script. Nothing here is checked against anything: that is
/// the audit's work.
struct Overview {
  record::Manifest manifest;
  std::int64_t leaves = 0;
  std::string log_root;  ///< hex
  bool torn = false;
  bool closed = false;
  std::optional<seal::Checkpoint> checkpoint;
  std::vector<float> losses;  ///< of each step in the log
  std::int64_t steps = 0, states = 0, tokens = 0, predicted = 0;
  std::int64_t segments = 0, snapshots = 0;
  std::uint64_t log_bytes = 0, segment_bytes = 0;
};

/// Throws Error{kUsage} if there is no trace, Error{kEvidence} if its log is malformed.
Overview overview(const Layout& layout);
Json to_json(const Overview& overview);
/// A few lines for a person.
std::string describe(const Overview& overview);

}  // namespace aftune::trace
