#include "hash/blake3_parts.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace aftune::hash {
namespace {

std::uint64_t lowest_bit(std::uint64_t n) {
  return n & (~n + 1);
}

/// Roots of the subtrees that a beginning of the file consists of: one per bit of its number of chunks, the
/// largest first.
class Roots {
 public:
  explicit Roots(const Blake3Mode& mode) : mode_(mode) {}

  /// More bytes must follow those of `cv`.
  void push(std::uint64_t bytes, const std::byte* cv) {
    cvs_.insert(cvs_.end(), cv, cv + kCvBytes);
    chunks_ += bytes / kChunkBytes;
    while (cvs_.size() / kCvBytes > static_cast<std::size_t>(std::popcount(chunks_))) {
      std::byte* const pair = cvs_.data() + cvs_.size() - 2 * kCvBytes;
      blake3_parent(mode_, pair).chaining_value(mode_, pair);
      cvs_.resize(cvs_.size() - kCvBytes);
    }
  }

  Digest finish(ByteView last) {
    Blake3Node node = blake3_subtree(mode_, last, chunks_, nullptr);
    for (; !cvs_.empty(); cvs_.resize(cvs_.size() - kCvBytes)) {
      std::byte pair[2 * kCvBytes];
      std::memcpy(pair, cvs_.data() + cvs_.size() - kCvBytes, kCvBytes);
      node.chaining_value(mode_, pair + kCvBytes);
      node = blake3_parent(mode_, pair);
    }
    Digest digest;
    node.root(mode_, 0, std::as_writable_bytes(std::span(digest.bytes)));
    return digest;
  }

 private:
  const Blake3Mode& mode_;
  std::vector<std::byte> cvs_;
  std::uint64_t chunks_ = 0;
};

}  // namespace

Blake3Parts::Blake3Parts() : mode_(blake3_plain_mode()) {}

void Blake3Parts::take(std::uint64_t offset, ByteView bytes) {
  Subtree subtree{bytes.size(), {}};
  blake3_subtree(mode_, bytes, offset / kChunkBytes, nullptr).chaining_value(mode_, subtree.cv.data());
  const bool is_new = subtrees_.emplace(offset, subtree).second;
  AFTUNE_CHECK(is_new);
}

// Goes on with the chunk in which the last part ended, or passes over one whose start is not there. Returns
// what is left, from a chunk's start on.
ByteView Blake3Parts::complete_begun(std::uint64_t offset, ByteView bytes) {
  const std::size_t within = offset % kChunkBytes;
  if (within == 0) begun_size_ = 0;
  if (within == 0 || bytes.empty()) return bytes;
  const std::size_t size = std::min(bytes.size(), kChunkBytes - within);
  if (offset != end_ || begun_size_ != within) {
    begun_size_ = 0;
    return bytes.subspan(size);
  }
  std::memcpy(begun_.data() + within, bytes.data(), size);
  begun_size_ += size;
  if (begun_size_ == kChunkBytes) {
    take(offset - within, begun_);
    begun_size_ = 0;
  }
  return bytes.subspan(size);
}

void Blake3Parts::add(std::uint64_t offset, ByteView bytes) {
  const std::uint64_t end = offset + bytes.size();
  bytes = complete_begun(offset, bytes);
  while (bytes.size() >= kChunkBytes) {
    const std::uint64_t at = end - bytes.size();
    std::uint64_t size = std::bit_floor(bytes.size());
    if (at != 0) size = std::min(size, lowest_bit(at));
    take(at, bytes.first(size));
    bytes = bytes.subspan(size);
  }
  if (!bytes.empty()) {
    std::memcpy(begun_.data(), bytes.data(), bytes.size());
    begun_size_ = bytes.size();
  }
  end_ = end;
}

Digest Blake3Parts::finish(std::uint64_t size, const Read& read) const {
  constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;
  Roots roots(mode_);
  std::vector<std::byte> piece;
  for (std::uint64_t at = 0;;) {
    // Only bytes can be the end of the file: a chaining value is that of a subtree with something beside it.
    const auto known = subtrees_.find(at);
    if (known != subtrees_.end() && at + known->second.bytes < size) {
      roots.push(known->second.bytes, known->second.cv.data());
      at += known->second.bytes;
      continue;
    }
    const auto next = subtrees_.upper_bound(at);
    std::uint64_t count = std::min(kPiece, (next == subtrees_.end() ? size : next->first) - at);
    if (at != 0) count = std::min(count, lowest_bit(at));
    const bool is_last = at + count == size;
    if (!is_last) count = std::bit_floor(count);
    piece.resize(count);
    read(at, piece);
    if (is_last) return roots.finish(piece);
    std::byte cv[kCvBytes];
    blake3_subtree(mode_, piece, at / kChunkBytes, nullptr).chaining_value(mode_, cv);
    roots.push(count, cv);
    at += count;
  }
}

}  // namespace aftune::hash
