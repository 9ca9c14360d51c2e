#include "hash/merkle.h"

#include <sodium.h>

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace aftune::hash {
namespace {

Digest sha256_of(std::uint8_t domain, ByteView first, ByteView second) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  crypto_hash_sha256_update(&state, &domain, 1);
  for (const ByteView part : {first, second})
    crypto_hash_sha256_update(&state, reinterpret_cast<const unsigned char*>(part.data()), part.size());
  Digest digest;
  crypto_hash_sha256_final(&state, digest.bytes.data());
  return digest;
}

// Leaves in the left part of a tree of `size` > 1 leaves: the largest power of two below it.
std::uint64_t left_size(std::uint64_t size) {
  return std::bit_floor(size - 1);
}

// The proofs of RFC 6962 name the subtrees from the leaf upwards; walking down, they are met in reverse.
std::vector<Digest> reversed(std::vector<Digest> path) {
  std::reverse(path.begin(), path.end());
  return path;
}

// One step up of the verifiers of RFC 9162: `node` and `last` are positions of a node and of the last node on
// one level.
struct Climb {
  std::uint64_t node;
  std::uint64_t last;

  // Whether the sibling is on the left. If the node has none on this level, first rises to where it has one.
  bool sibling_is_left() {
    if ((node & 1) == 0 && node != last) return false;
    while ((node & 1) == 0 && node != 0) rise();
    return true;
  }
  void rise() {
    node >>= 1;
    last >>= 1;
  }
};

}  // namespace

Digest sha256(ByteView bytes) {
  Digest digest;
  crypto_hash_sha256(digest.bytes.data(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  return digest;
}

Digest leaf_hash(ByteView data) {
  return sha256_of(0x00, data, {});
}

Digest node_hash(const Digest& left, const Digest& right) {
  return sha256_of(0x01, as_bytes(left), as_bytes(right));
}

void RootBuilder::append(const Digest& leaf) {
  Digest node = leaf;
  // A carry of binary addition: each trailing one of the old size is a finished subtree of that size.
  for (std::uint64_t carry = size_; (carry & 1) != 0; carry >>= 1) {
    node = node_hash(peaks_.back(), node);
    peaks_.pop_back();
  }
  peaks_.push_back(node);
  ++size_;
}

Digest RootBuilder::root() const {
  if (peaks_.empty()) return sha256({});
  Digest node = peaks_.back();
  for (std::size_t i = peaks_.size() - 1; i > 0; --i) node = node_hash(peaks_[i - 1], node);
  return node;
}

// The leaves [begin, begin + size) of a subtree: begin is a multiple of every power of two up to size.
struct MerkleTree::Range {
  std::uint64_t begin;
  std::uint64_t size;
};

void MerkleTree::append(const Digest& leaf) {
  levels_.front().push_back(leaf);
  for (std::size_t k = 0; levels_[k].size() % 2 == 0; ++k) {
    if (k + 1 == levels_.size()) levels_.emplace_back();
    const std::vector<Digest>& nodes = levels_[k];
    levels_[k + 1].push_back(node_hash(nodes[nodes.size() - 2], nodes.back()));
  }
}

// Folds the roots of the perfect subtrees that the range is made of, smallest and rightmost first.
Digest MerkleTree::root_of(Range range) const {
  const auto perfect = [&](int level, std::uint64_t begin) -> const Digest& {
    return levels_[static_cast<std::size_t>(level)][begin >> level];
  };
  std::uint64_t rest = range.size;
  const auto last = [&] {
    const int level = std::countr_zero(rest);
    rest &= rest - 1;
    return perfect(level, range.begin + rest);
  };
  Digest node = last();
  while (rest != 0) node = node_hash(last(), node);
  return node;
}

Digest MerkleTree::take_half(Range& rest, bool left_stays) const {
  const std::uint64_t middle = left_size(rest.size);
  const Range left{rest.begin, middle}, right{rest.begin + middle, rest.size - middle};
  rest = left_stays ? left : right;
  return root_of(left_stays ? right : left);
}

Digest MerkleTree::root(std::uint64_t size) const {
  AFTUNE_CHECK(size <= this->size());
  return size == 0 ? sha256({}) : root_of({0, size});
}

std::vector<Digest> MerkleTree::inclusion(std::uint64_t index, std::uint64_t size) const {
  AFTUNE_CHECK(index < size && size <= this->size());
  std::vector<Digest> path;
  for (Range rest{0, size}; rest.size > 1;)
    path.push_back(take_half(rest, index - rest.begin < left_size(rest.size)));
  return reversed(std::move(path));
}

std::vector<Digest> MerkleTree::consistency(std::uint64_t from, std::uint64_t to) const {
  AFTUNE_CHECK(0 < from && from <= to && to <= size());
  std::vector<Digest> path;
  Range rest{0, to};
  while (from < rest.begin + rest.size)
    path.push_back(take_half(rest, from - rest.begin <= left_size(rest.size)));
  // A part that begins with the old tree's first leaf is the old tree itself: its root is known.
  if (rest.begin != 0) path.push_back(root_of(rest));
  return reversed(std::move(path));
}

std::optional<Digest> inclusion_root(const Digest& leaf, std::uint64_t index, std::uint64_t size,
                                     const std::vector<Digest>& proof) {
  if (index >= size) return std::nullopt;
  Climb at{index, size - 1};
  Digest node = leaf;
  for (const Digest& sibling : proof) {
    if (at.last == 0) return std::nullopt;
    node = at.sibling_is_left() ? node_hash(sibling, node) : node_hash(node, sibling);
    at.rise();
  }
  return at.last == 0 ? std::optional(node) : std::nullopt;
}

bool verify_inclusion(const Digest& leaf, std::uint64_t index, std::uint64_t size,
                      const std::vector<Digest>& proof, const Digest& root) {
  return inclusion_root(leaf, index, size, proof) == root;
}

bool verify_consistency(std::uint64_t from, const Digest& from_root, std::uint64_t to, const Digest& to_root,
                        const std::vector<Digest>& proof) {
  if (from == 0 || from > to) return false;
  if (from == to) return proof.empty() && from_root == to_root;
  // A perfect old tree is itself the first node of the path; then the proof leaves it out.
  const bool perfect = std::has_single_bit(from);
  if (!perfect && proof.empty()) return false;
  Climb at{from - 1, to - 1};
  while ((at.node & 1) != 0) at.rise();
  Digest old_node = perfect ? from_root : proof.front();
  Digest new_node = old_node;
  for (std::size_t i = perfect ? 0 : 1; i < proof.size(); ++i) {
    if (at.last == 0) return false;
    if (at.sibling_is_left()) {
      old_node = node_hash(proof[i], old_node);
      new_node = node_hash(proof[i], new_node);
    } else {
      new_node = node_hash(new_node, proof[i]);
    }
    at.rise();
  }
  return at.last == 0 && old_node == from_root && new_node == to_root;
}

}  // namespace aftune::hash
