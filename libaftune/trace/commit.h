#pragma once

#include "seal/keys.h"
#include "seal/note.h"
#include "trace/layout.h"

namespace aftune::trace {

struct Commitment {
  seal::Checkpoint checkpoint;
  bool closed = false;  ///< the log ends with its `final` leaf
  /// False: an earlier checkpoint seals leaves that are not the log's first ones; nothing was written.
  bool extends = true;
};

/// Seals the log as it is on disk: fsyncs it, writes ./leaf-hashes, ./checkpoint (origin "<key name>/<run
/// id>") and ./manifest.tlog-proof, each whole or not at all. Holds the trace's lock. Sealing the same log
/// again gives the same bytes. Throws Error{kUsage} if another process uses the trace, if the last line is
/// torn, or if
/// ./checkpoint is of another key or run; Error{kEvidence} if the log or its manifest is malformed.
Commitment commit(const Layout& layout, const seal::SecretKey& key);

}  // namespace aftune::trace
