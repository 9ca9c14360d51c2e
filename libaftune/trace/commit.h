#pragma once

#include <optional>
#include <string>

#include "seal/keys.h"
#include "seal/note.h"
#include "trace/layout.h"

namespace aftune::trace {

struct CommitOptions {
  /// A signed note of the same log that the new checkpoint is to extend, proved in Commitment::consistency.
  std::optional<fs::path> since = std::nullopt;
  /// Hash every line, also those that ./checkpoint seals already.
  bool rehash = false;
};

struct Commitment {
  seal::Checkpoint checkpoint;
  bool closed = false;   ///< the log ends with its `final` leaf
  bool serving = false;  ///< it is a serving period's, which is audited while it goes on, too
  /// Not empty: an earlier checkpoint, which it names, seals leaves that are not the log's first ones;
  /// nothing was written.
  std::string problem;
  std::optional<seal::ConsistencyProof> consistency;  ///< with `since`; has been checked
  std::uint64_t hashed = 0;                           ///< lines that were read and hashed
};

/// Seals the log as it is on disk: fsyncs it, writes ./leaf-hashes, ./checkpoint (origin "<key name>/<run
/// id>") and
/// ./manifest.tlog-proof, in this order, each whole or not at all: killed anywhere, it can be done again.
/// Holds the trace's lock. Sealing the same log again gives the same bytes, and cosignatures under
/// ./checkpoint stay. Throws Error{kUsage} if another process uses the trace, if the last line is torn, if
/// ./checkpoint is of another key or run, or if `since` is; Error{kEvidence} if the log or its manifest is
/// malformed.
Commitment commit(const Layout& layout, const seal::SecretKey& key, const CommitOptions& options = {});

}  // namespace aftune::trace
