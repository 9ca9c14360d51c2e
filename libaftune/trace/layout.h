#pragma once

#include <cstdint>
#include <string>

#include "base/files.h"
#include "record/grid.h"

namespace aftune::trace {

/// Names inside a trace directory (docs/trace.md).
///
/// Segment 0 holds state 0; segment i >= 1 holds the steps of step block i - 1 and, if it was due for a
/// snapshot, state i. So a segment is written when its last leaf, state i, is known, and before any of its
/// leaves.
struct Layout {
  fs::path root;
  fs::path log() const { return root / "log.jsonl"; }
  fs::path checkpoint() const { return root / "checkpoint"; }
  fs::path manifest_proof() const { return root / "manifest.tlog-proof"; }
  /// The 32 bytes of each leaf's RFC 6962 hash, as sealed. Nothing rests on it: with it a damaged log can be
  /// told line by line from the signed one, because hashes whose root is the signed root are the signed ones.
  fs::path leaf_hashes() const { return root / "leaf-hashes"; }
  fs::path lock() const { return root / "lock"; }
  /// The run secret of a run with hiding. Never handed out.
  fs::path hiding_key() const { return root / "hiding.key"; }
  /// Which cells answers have opened so far; the provider's own memory (docs/audit.md, "Hiding").
  fs::path disclosed() const { return root / "disclosed"; }
  fs::path segment(std::int64_t index) const;
  /// Of a serving trace: what the answers were (journal.h).
  fs::path journal(std::int64_t number) const;
  static std::int64_t segment_of_state(std::int64_t s) { return s; }
  static std::int64_t segment_of_step(const record::Grid& grid, std::int64_t t) {
    return grid.step_block_of(t) + 1;
  }
};

/// Dataset paths inside a segment.
std::string step_dataset(std::int64_t step, const std::string& what);  ///< what: layout, tokens, labels
std::string activation_dataset(std::int64_t step, int boundary);       ///< "/steps/3/activations/0"
std::string gradient_dataset(std::int64_t step, int boundary);         ///< "/steps/3/gradients/0"
std::string state_dataset(const std::string& tensor);                  ///< "/state/<name>"

}  // namespace aftune::trace
