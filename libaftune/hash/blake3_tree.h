#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/parallel.h"
#include "hash/blake3_lanes.h"

// The tree of BLAKE3 over chunks of 1024 bytes (BLAKE3 paper, §2.1): in every subtree the left part is the
// largest power of two of chunks that leaves something to the right.
namespace aftune::hash {

/// What all compressions of one hash share.
struct Blake3Mode {
  const Blake3Lanes* lanes;
  std::array<std::uint32_t, 8> key;  ///< the IV unless keyed
  std::uint32_t flags;               ///< of the mode

  bool is_plain() const { return flags == 0; }
};

/// The mode of the plain hash, or of deriving its key's context by `flags`.
Blake3Mode blake3_plain_mode(std::uint32_t flags = 0);

/// The last compression of a subtree, not done yet: only its user knows whether it is the root.
struct Blake3Node {
  std::array<std::uint32_t, 8> cv;
  std::array<std::byte, kBlockBytes> block;
  std::uint64_t counter;
  std::uint32_t length;
  std::uint32_t flags;

  void chaining_value(const Blake3Mode& mode, std::byte* cv_out) const;
  /// Extended output from byte `offset` on, as the root.
  void root(const Blake3Mode& mode, std::uint64_t offset, std::span<std::byte> out) const;
};

/// The subtree of `bytes`, whose first chunk is number `counter`; no bytes at all are one empty chunk. Large
/// inputs are shared out over the pool, if there is one.
Blake3Node blake3_subtree(const Blake3Mode& mode, ByteView bytes, std::uint64_t counter, ThreadPool* pool);
/// The parent of two chaining values that lie end to end.
Blake3Node blake3_parent(const Blake3Mode& mode, const std::byte* children);

}  // namespace aftune::hash
