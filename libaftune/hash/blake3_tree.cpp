#include "hash/blake3_tree.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "base/accelerator.h"

namespace aftune::hash {
namespace {

// Chunks that are hashed before parents are: every instruction set's degree divides it.
constexpr std::size_t kGroup = 16;
// A thread's share is at least this, so that handing it over costs little.
constexpr std::size_t kLeastShare = std::size_t{128} << 10;

std::size_t chunks_in(std::size_t bytes) {
  return bytes / kChunkBytes + (bytes % kChunkBytes != 0 ? 1 : 0);
}

// Bytes in the left part of a subtree of more than one chunk.
std::size_t left_bytes(std::size_t bytes) {
  return std::bit_floor(chunks_in(bytes) - 1) * kChunkBytes;
}

Blake3Node chunk(const Blake3Mode& mode, ByteView bytes, std::uint64_t counter) {
  const std::size_t before = bytes.empty() ? 0 : (bytes.size() - 1) / kBlockBytes;
  const ByteView last = bytes.subspan(before * kBlockBytes);
  Blake3Node node{mode.key, {}, counter, static_cast<std::uint32_t>(last.size()), mode.flags | kChunkEnd};
  if (before == 0)
    node.flags |= kChunkStart;
  else
    mode.lanes->absorb(node.cv.data(), bytes.data(), before, counter, mode.flags, kChunkStart);
  if (!last.empty()) std::memcpy(node.block.data(), last.data(), last.size());
  return node;
}

// One level of parents, in place; an odd one out moves up as it is. Returns how many are left.
std::size_t join_pairs(const Blake3Mode& mode, std::byte* cvs, std::size_t count) {
  mode.lanes->hash_parents(cvs, count / 2, mode.key.data(), mode.flags, cvs);
  if (count % 2 != 0) std::memmove(cvs + count / 2 * kCvBytes, cvs + (count - 1) * kCvBytes, kCvBytes);
  return (count + 1) / 2;
}

// The subtree cut at the level where it has at most kGroup nodes: writes their chaining values, returns how
// many. Stopping there instead of at the top keeps the parents wide.
std::size_t level_of_subtree(const Blake3Mode& mode, ByteView bytes, std::uint64_t counter, std::byte* cvs) {
  if (bytes.size() <= kGroup * kChunkBytes) {
    const std::size_t whole = bytes.size() / kChunkBytes;
    mode.lanes->hash_chunks(bytes.data(), whole, mode.key.data(), counter, mode.flags, cvs);
    const ByteView rest = bytes.subspan(whole * kChunkBytes);
    if (rest.empty()) return whole;
    chunk(mode, rest, counter + whole).chaining_value(mode, cvs + whole * kCvBytes);
    return whole + 1;
  }
  const std::size_t left = left_bytes(bytes.size());
  std::byte both[2 * kGroup * kCvBytes];
  std::size_t count = level_of_subtree(mode, bytes.first(left), counter, both);
  count += level_of_subtree(mode, bytes.subspan(left), counter + left / kChunkBytes, both + count * kCvBytes);
  count = join_pairs(mode, both, count);
  std::memcpy(cvs, both, count * kCvBytes);
  return count;
}

Blake3Node top(const Blake3Mode& mode, std::byte* cvs, std::size_t count) {
  while (count > 2) count = join_pairs(mode, cvs, count);
  return blake3_parent(mode, cvs);
}

// The same by a device, which takes whole pieces; what is left of the last one is hashed here.
Blake3Node subtree_on_device(const Blake3Mode& mode, ByteView bytes, std::uint64_t counter,
                             Accelerator& device) {
  constexpr std::size_t kPiece = Accelerator::kHashPiece;
  const std::size_t pieces = bytes.size() / kPiece;
  const ByteView rest = bytes.subspan(pieces * kPiece);
  std::vector<std::byte> cvs((pieces + 1) * kCvBytes);
  device.blake3_values(bytes.first(pieces * kPiece), counter, cvs.data());
  if (rest.empty()) return top(mode, cvs.data(), pieces);
  blake3_subtree(mode, rest, counter + pieces * kPiece / kChunkBytes, nullptr)
      .chaining_value(mode, cvs.data() + pieces * kCvBytes);
  return top(mode, cvs.data(), pieces + 1);
}

// Equal shares of a power of two of chunks are subtrees, so their roots are one level of this one.
Blake3Node subtree_by_shares(const Blake3Mode& mode, ByteView bytes, std::uint64_t counter,
                             ThreadPool& pool) {
  const std::size_t wanted = bytes.size() / (4 * static_cast<std::size_t>(pool.threads()));
  const std::size_t share = std::max(kLeastShare, std::bit_floor(wanted));
  const std::size_t shares = (bytes.size() + share - 1) / share;
  std::vector<std::byte> cvs(shares * kCvBytes);
  pool.run(static_cast<std::int64_t>(shares), [&](std::int64_t i) {
    const std::size_t from = static_cast<std::size_t>(i) * share;
    const ByteView mine = bytes.subspan(from, std::min(share, bytes.size() - from));
    blake3_subtree(mode, mine, counter + from / kChunkBytes, nullptr)
        .chaining_value(mode, cvs.data() + static_cast<std::size_t>(i) * kCvBytes);
  });
  return top(mode, cvs.data(), shares);
}

}  // namespace

Blake3Mode blake3_plain_mode(std::uint32_t flags) {
  Blake3Mode mode{&blake3_lanes(active_isa()), {}, flags};
  std::copy(std::begin(kIv), std::end(kIv), mode.key.begin());
  return mode;
}

Blake3Node blake3_parent(const Blake3Mode& mode, const std::byte* children) {
  Blake3Node node{mode.key, {}, 0, kBlockBytes, mode.flags | kParent};
  std::memcpy(node.block.data(), children, kBlockBytes);
  return node;
}

Blake3Node blake3_subtree(const Blake3Mode& mode, ByteView bytes, std::uint64_t counter, ThreadPool* pool) {
  if (bytes.size() <= kChunkBytes) return chunk(mode, bytes, counter);
  if (pool != nullptr && bytes.size() >= 2 * kLeastShare) {
    Accelerator* const device = pool->accelerator();
    if (device != nullptr && mode.is_plain() && device->holds(bytes.data()))
      return subtree_on_device(mode, bytes, counter, *device);
    if (pool->threads() > 1) return subtree_by_shares(mode, bytes, counter, *pool);
  }
  std::byte cvs[kGroup * kCvBytes];
  const std::size_t count = level_of_subtree(mode, bytes, counter, cvs);
  return top(mode, cvs, count);
}

void Blake3Node::chaining_value(const Blake3Mode& mode, std::byte* cv_out) const {
  std::byte out[kBlockBytes];
  mode.lanes->compress(cv.data(), block.data(), counter, length, flags, out);
  std::memcpy(cv_out, out, kCvBytes);
}

void Blake3Node::root(const Blake3Mode& mode, std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    std::byte whole[kBlockBytes];
    mode.lanes->compress(cv.data(), block.data(), offset / kBlockBytes, length, flags | kRoot, whole);
    const std::size_t from = offset % kBlockBytes;
    const std::size_t size = std::min(out.size(), kBlockBytes - from);
    std::memcpy(out.data(), whole + from, size);
    out = out.subspan(size);
    offset += size;
  }
}

}  // namespace aftune::hash
