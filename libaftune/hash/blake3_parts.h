#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>

#include "base/bytes.h"
#include "hash/blake3_tree.h"

namespace aftune::hash {

/// BLAKE3 of a file most of which passes by while it is written, in any order; the rest is read at the end.
class Blake3Parts {
 public:
  /// Fills `out` with the bytes from `offset` on.
  using Read = std::function<void(std::uint64_t offset, std::span<std::byte> out)>;

  Blake3Parts();
  /// `bytes` stand from `offset` on, and stay as they are. No byte is added twice.
  void add(std::uint64_t offset, ByteView bytes);
  /// The digest of `size` bytes, which is at least what was added. Reads what no part holds and the few bytes
  /// at the ends of parts that are no whole chunk.
  Digest finish(std::uint64_t size, const Read& read) const;

 private:
  using Cv = std::array<std::byte, kCvBytes>;
  struct Subtree {
    std::uint64_t bytes;
    Cv cv;
  };

  ByteView complete_begun(std::uint64_t offset, ByteView bytes);
  void take(std::uint64_t offset, ByteView bytes);

  Blake3Mode mode_;
  std::map<std::uint64_t, Subtree> subtrees_;  ///< by their offset
  std::uint64_t end_ = 0;                      ///< of the last part
  std::array<std::byte, kChunkBytes> begun_;   ///< the chunk in which it ended, from its start on
  std::size_t begun_size_ = 0;
};

}  // namespace aftune::hash
