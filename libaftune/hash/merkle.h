#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace aftune::hash {

/// SHA-256 (libsodium).
Digest sha256(ByteView bytes);

/// RFC 6962 §2.1 hashes, with SHA-256: leaf = H(0x00 || data), node = H(0x01 || left || right).
Digest leaf_hash(ByteView data);
inline Digest leaf_hash(std::string_view data) {
  return leaf_hash(as_bytes(data));
}
Digest node_hash(const Digest& left, const Digest& right);

/// An append-only RFC 6962 tree. Keeps every leaf hash and the roots of all perfect subtrees, twice the
/// hashes of the leaves, so that a root or proof for any past size costs O(log n) hashes. Appending costs one
/// on average.
class MerkleTree {
 public:
  MerkleTree() : levels_(1) {}
  void append(const Digest& leaf);
  std::uint64_t size() const { return levels_.front().size(); }
  const std::vector<Digest>& leaves() const { return levels_.front(); }
  /// Root of the first `size` leaves; SHA-256("") for none. Requires size <= this->size().
  Digest root(std::uint64_t size) const;
  Digest root() const { return root(size()); }
  /// Hashes from the leaf's sibling up to the root's child. Requires index < size <= this->size().
  std::vector<Digest> inclusion(std::uint64_t index, std::uint64_t size) const;
  /// RFC 6962 §2.1.2. Requires 0 < from <= to <= this->size().
  std::vector<Digest> consistency(std::uint64_t from, std::uint64_t to) const;

 private:
  struct Range;
  Digest root_of(Range range) const;
  /// What proofs are made of: the roots of the halves that the way from the root down to a leaf, or to the
  /// last leaf of an old tree, leaves aside.
  Digest take_half(Range& rest, bool left_stays) const;

  /// levels_[k][i] is the root over the leaves [i 2^k, (i + 1) 2^k).
  std::vector<std::vector<Digest>> levels_;
};

/// RFC 9162 §2.1.3.2: the root of the tree of `size` leaves in which the proof puts this leaf at `index`.
/// nullopt for an index that the tree does not have, or a proof of another length than they call for.
std::optional<Digest> inclusion_root(const Digest& leaf, std::uint64_t index, std::uint64_t size,
                                     const std::vector<Digest>& proof);
/// False for any proof that does not prove exactly this.
[[nodiscard]] bool verify_inclusion(const Digest& leaf, std::uint64_t index, std::uint64_t size,
                                    const std::vector<Digest>& proof, const Digest& root);
/// RFC 9162 §2.1.4.2. `from` = 0 proves nothing and is refused.
[[nodiscard]] bool verify_consistency(std::uint64_t from, const Digest& from_root, std::uint64_t to,
                                      const Digest& to_root, const std::vector<Digest>& proof);

/// A root computed leaf by leaf in O(log n) memory, for data sets and logs that are not kept.
class RootBuilder {
 public:
  void append(const Digest& leaf);
  std::uint64_t size() const { return size_; }
  Digest root() const;

 private:
  std::vector<Digest> peaks_;  // roots of the perfect subtrees, largest first
  std::uint64_t size_ = 0;
};

}  // namespace aftune::hash
