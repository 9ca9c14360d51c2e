#include "hash/blake3.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "hash/blake3_tree.h"

namespace aftune::hash {
namespace {

Blake3Mode keyed_mode(const Digest& key, std::uint32_t flags) {
  Blake3Mode mode = blake3_plain_mode(flags);
  std::memcpy(mode.key.data(), key.bytes.data(), key.bytes.size());
  return mode;
}

Digest root_digest(const Blake3Mode& mode, const Blake3Node& node) {
  Digest digest;
  node.root(mode, 0, std::as_writable_bytes(std::span(digest.bytes)));
  return digest;
}

Digest digest_of(const Blake3Mode& mode, ByteView bytes, ThreadPool* pool = nullptr) {
  return root_digest(mode, blake3_subtree(mode, bytes, 0, pool));
}

Blake3Mode derive_key_mode(std::string_view context) {
  return keyed_mode(digest_of(blake3_plain_mode(kDeriveKeyContext), as_bytes(context)), kDeriveKeyMaterial);
}

}  // namespace

Digest blake3(ByteView bytes, ThreadPool* pool) {
  return digest_of(blake3_plain_mode(), bytes, pool);
}

Digest blake3_keyed(const Digest& key, ByteView bytes) {
  return digest_of(keyed_mode(key, kKeyedHash), bytes);
}

Digest blake3_derive_key(std::string_view context, ByteView material) {
  return digest_of(derive_key_mode(context), material);
}

// Bytes wait in `pending` until more than it holds are there: whatever has been hashed is then known not to
// be the end, and its roots can be joined. Small pieces thus reach the wide path too.
struct Blake3::State {
  static constexpr std::size_t kPending = 16 * kChunkBytes;
  // One root per bit of the number of chunks hashed; 2^64 bytes are 2^54 chunks.
  static constexpr std::size_t kMostRoots = 54;

  explicit State(const Blake3Mode& m) : mode(m) {}
  State(const State& other)
      : mode(other.mode),
        chunks(other.chunks),
        root_count(other.root_count),
        pending_size(other.pending_size) {
    std::memcpy(roots, other.roots, root_count * kCvBytes);
    std::memcpy(pending, other.pending, pending_size);
  }
  State& operator=(const State&) = delete;

  // Hashes a power of two of chunks, more of which follow; their number so far is a multiple of it.
  void take_subtree(ByteView bytes, ThreadPool* pool) {
    blake3_subtree(mode, bytes, chunks, pool).chaining_value(mode, roots + root_count * kCvBytes);
    chunks += bytes.size() / kChunkBytes;
    for (++root_count; root_count > static_cast<std::size_t>(std::popcount(chunks)); --root_count) {
      std::byte* pair = roots + (root_count - 2) * kCvBytes;
      blake3_parent(mode, pair).chaining_value(mode, pair);
    }
  }

  void fill_pending(ByteView& bytes) {
    const std::size_t size = std::min(bytes.size(), kPending - pending_size);
    if (size != 0) std::memcpy(pending + pending_size, bytes.data(), size);
    pending_size += size;
    bytes = bytes.subspan(size);
  }

  void update(ByteView bytes, ThreadPool* pool) {
    if (pending_size != 0) {
      fill_pending(bytes);
      if (bytes.empty()) return;
      take_subtree({pending, kPending}, nullptr);
      pending_size = 0;
    }
    while (bytes.size() > kPending) {
      std::uint64_t size = std::bit_floor(bytes.size() - 1);
      if (chunks != 0) size = std::min(size, kChunkBytes << std::countr_zero(chunks));
      take_subtree(bytes.first(size), pool);
      bytes = bytes.subspan(size);
    }
    fill_pending(bytes);
  }

  Blake3Node last_node() const {
    Blake3Node node = blake3_subtree(mode, {pending, pending_size}, chunks, nullptr);
    for (std::size_t i = root_count; i > 0; --i) {
      std::byte pair[2 * kCvBytes];
      std::memcpy(pair, roots + (i - 1) * kCvBytes, kCvBytes);
      node.chaining_value(mode, pair + kCvBytes);
      node = blake3_parent(mode, pair);
    }
    return node;
  }

  Blake3Mode mode;
  std::uint64_t chunks = 0;  // hashed; the pending ones follow
  std::size_t root_count = 0;
  std::size_t pending_size = 0;
  std::byte roots[kMostRoots * kCvBytes];  // largest subtree first
  std::byte pending[kPending];
};

Blake3::Blake3() : Blake3(std::make_unique<State>(blake3_plain_mode())) {}
Blake3::Blake3(std::unique_ptr<State> state) : state_(std::move(state)) {}
Blake3::Blake3(const Blake3& other) : state_(std::make_unique<State>(*other.state_)) {}
Blake3::Blake3(Blake3&&) noexcept = default;
Blake3& Blake3::operator=(Blake3&&) noexcept = default;
Blake3::~Blake3() = default;

Blake3& Blake3::operator=(const Blake3& other) {
  return *this = Blake3(other);
}

Blake3 Blake3::keyed(const Digest& key) {
  return Blake3(std::make_unique<State>(keyed_mode(key, kKeyedHash)));
}

Blake3 Blake3::derive_key(std::string_view context) {
  return Blake3(std::make_unique<State>(derive_key_mode(context)));
}

Blake3& Blake3::update(ByteView bytes, ThreadPool* pool) {
  state_->update(bytes, pool);
  return *this;
}

Digest Blake3::finish() const {
  return root_digest(state_->mode, state_->last_node());
}

void Blake3::finish_xof(std::uint64_t offset, std::span<std::byte> out) const {
  state_->last_node().root(state_->mode, offset, out);
}

}  // namespace aftune::hash
