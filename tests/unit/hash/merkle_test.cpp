#include "hash/merkle.h"

#include <gtest/gtest.h>

#include <random>
#include <span>
#include <string>

namespace aftune::hash {
namespace {

// The definitions of RFC 6962 §2.1, word for word.
namespace oracle {

using Leaves = std::span<const Digest>;

std::size_t split(std::size_t n) {
  std::size_t k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

Digest concatenated(std::uint8_t domain, const Digest& left, const Digest& right) {
  std::string data(1, static_cast<char>(domain));
  data += as_text(as_bytes(left));
  data += as_text(as_bytes(right));
  return sha256(as_bytes(data));
}

Digest mth(Leaves d) {
  if (d.empty()) return sha256({});
  if (d.size() == 1) return d[0];
  const std::size_t k = split(d.size());
  return concatenated(1, mth(d.first(k)), mth(d.subspan(k)));
}

std::vector<Digest> join(std::vector<Digest> path, const Digest& last) {
  path.push_back(last);
  return path;
}

std::vector<Digest> path(std::size_t m, Leaves d) {
  if (d.size() == 1) return {};
  const std::size_t k = split(d.size());
  if (m < k) return join(path(m, d.first(k)), mth(d.subspan(k)));
  return join(path(m - k, d.subspan(k)), mth(d.first(k)));
}

std::vector<Digest> subproof(std::size_t m, Leaves d, bool b) {
  if (m == d.size()) return b ? std::vector<Digest>{} : std::vector<Digest>{mth(d)};
  const std::size_t k = split(d.size());
  if (m <= k) return join(subproof(m, d.first(k), b), mth(d.subspan(k)));
  return join(subproof(m - k, d.subspan(k), false), mth(d.first(k)));
}

}  // namespace oracle

// The eight leaves of the reference implementation's test data.
MerkleTree reference_tree() {
  MerkleTree tree;
  for (const char* hex :
       {"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"})
    tree.append(leaf_hash(from_hex(hex)));
  return tree;
}

MerkleTree numbered_tree(std::uint64_t size) {
  MerkleTree tree;
  for (std::uint64_t i = 0; i < size; ++i) tree.append(leaf_hash("leaf " + std::to_string(i)));
  return tree;
}

std::vector<std::string> prefixes(const std::vector<Digest>& proof) {
  std::vector<std::string> out;
  for (const Digest& d : proof) out.push_back(to_hex(d).substr(0, 8));
  return out;
}

TEST(Merkle, ReferenceRoots) {
  const char* roots[] = {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                         "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                         "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                         "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                         "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                         "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                         "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                         "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                         "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  const MerkleTree tree = reference_tree();
  for (std::uint64_t size = 0; size <= 8; ++size) EXPECT_EQ(to_hex(tree.root(size)), roots[size]);
}

TEST(Merkle, ReferenceProofs) {
  using Hexes = std::vector<std::string>;
  const MerkleTree tree = reference_tree();
  const Hexes leaves = {"6e340b9c", "96a296d2", "0298d122", "07506a85",
                        "bc1a0643", "4271a26b", "b08693ec", "46f6ffad"};
  EXPECT_EQ(prefixes(tree.leaves()), leaves);
  EXPECT_EQ(prefixes(tree.inclusion(0, 8)), (Hexes{"96a296d2", "5f083f0a", "6b47aaf2"}));
  EXPECT_EQ(prefixes(tree.inclusion(5, 8)), (Hexes{"bc1a0643", "ca854ea1", "d37ee418"}));
  EXPECT_EQ(prefixes(tree.inclusion(2, 3)), (Hexes{"fac54203"}));
  EXPECT_EQ(prefixes(tree.inclusion(1, 5)), (Hexes{"6e340b9c", "5f083f0a", "bc1a0643"}));
  EXPECT_EQ(prefixes(tree.consistency(1, 8)), (Hexes{"96a296d2", "5f083f0a", "6b47aaf2"}));
  EXPECT_EQ(prefixes(tree.consistency(6, 8)), (Hexes{"0ebc5d34", "ca854ea1", "d37ee418"}));
  EXPECT_EQ(prefixes(tree.consistency(2, 5)), (Hexes{"5f083f0a", "bc1a0643"}));
  EXPECT_EQ(prefixes(tree.consistency(6, 7)), (Hexes{"0ebc5d34", "b08693ec", "d37ee418"}));
  EXPECT_EQ(to_hex(tree.inclusion(0, 8)[0]),
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7");
  EXPECT_EQ(to_hex(tree.inclusion(0, 8)[1]),
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e");
  EXPECT_EQ(to_hex(tree.inclusion(0, 8)[2]),
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4");
  EXPECT_EQ(to_hex(tree.inclusion(5, 8)[0]),
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b");
  EXPECT_EQ(to_hex(tree.inclusion(5, 8)[1]),
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0");
  EXPECT_EQ(to_hex(tree.consistency(6, 7)[0]),
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a");
  EXPECT_EQ(to_hex(tree.consistency(6, 7)[1]),
            "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f");
}

TEST(Merkle, EqualsTheDefinitionForEverySmallTree) {
  const MerkleTree tree = numbered_tree(40);
  RootBuilder builder;
  for (std::uint64_t size = 1; size <= 40; ++size) {
    const oracle::Leaves leaves = std::span(tree.leaves()).first(size);
    builder.append(tree.leaves()[size - 1]);
    const Digest root = oracle::mth(leaves);
    ASSERT_EQ(tree.root(size), root);
    ASSERT_EQ(builder.root(), root);
    ASSERT_EQ(builder.size(), size);
    for (std::uint64_t index = 0; index < size; ++index) {
      const std::vector<Digest> proof = tree.inclusion(index, size);
      ASSERT_EQ(proof, oracle::path(index, leaves)) << index << " of " << size;
      ASSERT_TRUE(verify_inclusion(leaves[index], index, size, proof, root));
    }
    for (std::uint64_t from = 1; from <= size; ++from) {
      const std::vector<Digest> proof = tree.consistency(from, size);
      ASSERT_EQ(proof, oracle::subproof(from, leaves, true)) << from << " in " << size;
      ASSERT_TRUE(verify_consistency(from, tree.root(from), size, root, proof));
    }
  }
}

// Sizes about 2^8 have every shape of a right edge that 9 levels can have.
TEST(Merkle, EqualsTheDefinitionForEveryTreeUpTo300) {
  constexpr std::uint64_t kMost = 300;
  const MerkleTree tree = numbered_tree(kMost);
  for (std::uint64_t size = 1; size <= kMost; ++size) {
    const oracle::Leaves leaves = std::span(tree.leaves()).first(size);
    ASSERT_EQ(tree.root(size), oracle::mth(leaves));
    // Each index and old size occurs with many sizes; a stride that is prime to them keeps this in seconds.
    for (std::uint64_t at = size % 7; at < size; at += 7) {
      ASSERT_EQ(tree.inclusion(at, size), oracle::path(at, leaves)) << at << " of " << size;
      ASSERT_EQ(tree.consistency(at + 1, size), oracle::subproof(at + 1, leaves, true))
          << at + 1 << " in " << size;
    }
  }
}

// Evidence proves thousands of leaves of one log: a proof must cost no more than its own length in hashes.
TEST(Merkle, ManyProofsOfALargeTreeAreCheap) {
  constexpr std::uint64_t kSize = 300001;
  MerkleTree tree;
  Digest leaf{};
  for (std::uint64_t i = 0; i < kSize; ++i) {
    leaf.bytes[i % 32] ^= static_cast<std::uint8_t>(i);
    tree.append(leaf);
  }
  RootBuilder builder;
  for (const Digest& l : tree.leaves()) builder.append(l);
  const Digest root = tree.root();
  ASSERT_EQ(root, builder.root());
  for (std::uint64_t index = 0; index < kSize; index += 37)
    ASSERT_TRUE(verify_inclusion(tree.leaves()[index], index, kSize, tree.inclusion(index, kSize), root));
  for (std::uint64_t from = 1; from <= kSize; from += 101)
    ASSERT_TRUE(verify_consistency(from, tree.root(from), kSize, root, tree.consistency(from, kSize)));
}

// A proof may fit other sizes (the signed checkpoint binds the size), but no other index of its own size.
TEST(Merkle, AProofProvesNoOtherIndex) {
  const MerkleTree tree = numbered_tree(40);
  for (std::uint64_t size = 1; size <= 40; ++size) {
    const Digest root = tree.root(size);
    for (std::uint64_t index = 0; index < size; ++index) {
      const std::vector<Digest> proof = tree.inclusion(index, size);
      for (std::uint64_t other = 0; other <= 2 * size; ++other)
        ASSERT_EQ(verify_inclusion(tree.leaves()[index], other, size, proof, root), other == index)
            << index << " as " << other << " of " << size;
    }
  }
}

void flip(Digest& d, int bit) {
  d.bytes[static_cast<std::size_t>(bit / 8)] ^= static_cast<std::uint8_t>(1u << bit % 8);
}

TEST(Merkle, InclusionFailsForEverySingleBitOfDamage) {
  const MerkleTree tree = numbered_tree(9);
  for (std::uint64_t size = 1; size <= 9; ++size)
    for (std::uint64_t index = 0; index < size; ++index) {
      std::vector<Digest> proof = tree.inclusion(index, size);
      Digest leaf = tree.leaves()[index];
      Digest root = tree.root(size);
      const auto accepted = [&] { return verify_inclusion(leaf, index, size, proof, root); };
      std::vector<Digest*> parts{&leaf, &root};
      for (Digest& d : proof) parts.push_back(&d);
      for (Digest* part : parts)
        for (int bit = 0; bit < 256; ++bit) {
          flip(*part, bit);
          ASSERT_FALSE(accepted()) << index << ' ' << size << ' ' << bit;
          flip(*part, bit);
        }
      ASSERT_TRUE(accepted());
    }
}

TEST(Merkle, ConsistencyFailsForEverySingleBitOfDamage) {
  const MerkleTree tree = numbered_tree(9);
  for (std::uint64_t to = 1; to <= 9; ++to)
    for (std::uint64_t from = 1; from <= to; ++from) {
      std::vector<Digest> proof = tree.consistency(from, to);
      Digest old_root = tree.root(from);
      Digest new_root = tree.root(to);
      const auto accepted = [&] { return verify_consistency(from, old_root, to, new_root, proof); };
      std::vector<Digest*> parts{&old_root, &new_root};
      for (Digest& d : proof) parts.push_back(&d);
      for (Digest* part : parts)
        for (int bit = 0; bit < 256; ++bit) {
          flip(*part, bit);
          ASSERT_FALSE(accepted()) << from << ' ' << to << ' ' << bit;
          flip(*part, bit);
        }
      ASSERT_TRUE(accepted());
    }
}

// Proofs with a part inserted anywhere, removed, doubled or swapped.
std::vector<std::vector<Digest>> mangled(const std::vector<Digest>& proof,
                                         const std::vector<Digest>& foreign) {
  std::vector<std::vector<Digest>> out;
  for (std::size_t i = 0; i <= proof.size(); ++i)
    for (const Digest& part : foreign) {
      out.push_back(proof);
      out.back().insert(out.back().begin() + static_cast<std::ptrdiff_t>(i), part);
    }
  for (std::size_t i = 0; i < proof.size(); ++i) {
    out.push_back(proof);
    out.back().erase(out.back().begin() + static_cast<std::ptrdiff_t>(i));
    out.push_back(proof);
    out.back().insert(out.back().begin() + static_cast<std::ptrdiff_t>(i), proof[i]);
    for (std::size_t j = i + 1; j < proof.size(); ++j) {
      out.push_back(proof);
      std::swap(out.back()[i], out.back()[j]);
    }
  }
  return out;
}

TEST(Merkle, NegativeProbesOfTheReferenceForInclusion) {
  const Digest garbage = sha256(as_bytes("garbage"));
  for (const std::uint64_t size : {1u, 2u, 3u, 5u, 7u, 8u, 9u, 16u, 33u}) {
    const MerkleTree tree = numbered_tree(size);
    const Digest root = tree.root();
    for (std::uint64_t index = 0; index < size; ++index) {
      SCOPED_TRACE(testing::Message() << index << " of " << size);
      const std::vector<Digest> proof = tree.inclusion(index, size);
      const Digest leaf = tree.leaves()[index];
      for (const std::uint64_t other : {index - 1, index + 1, index ^ 2})
        EXPECT_FALSE(verify_inclusion(leaf, other, size, proof, root));
      EXPECT_FALSE(verify_inclusion(leaf, index, size * 2, proof, root));
      EXPECT_FALSE(verify_inclusion(leaf, index, size / 2, proof, root));
      EXPECT_FALSE(verify_inclusion(leaf, index, 0, proof, root));
      for (const Digest& bad : {Digest{}, garbage, sha256({})}) {
        EXPECT_FALSE(verify_inclusion(bad, index, size, proof, root));
        EXPECT_FALSE(verify_inclusion(leaf, index, size, proof, bad));
      }
      for (const auto& bad : mangled(proof, {root, garbage, leaf, Digest{}}))
        EXPECT_FALSE(verify_inclusion(leaf, index, size, bad, root));
    }
  }
}

TEST(Merkle, NegativeProbesOfTheReferenceForConsistency) {
  const Digest garbage = sha256(as_bytes("garbage"));
  for (const std::uint64_t to : {1u, 2u, 3u, 5u, 7u, 8u, 9u, 16u, 33u}) {
    const MerkleTree tree = numbered_tree(to);
    for (std::uint64_t from = 1; from <= to; ++from) {
      SCOPED_TRACE(testing::Message() << from << " in " << to);
      const std::vector<Digest> proof = tree.consistency(from, to);
      const Digest old_root = tree.root(from), new_root = tree.root(to);
      EXPECT_FALSE(verify_consistency(0, sha256({}), to, new_root, {}));
      EXPECT_FALSE(verify_consistency(0, sha256({}), to, new_root, proof));
      EXPECT_FALSE(verify_consistency(to + 1, old_root, to, new_root, proof));
      EXPECT_EQ(verify_consistency(from, new_root, to, old_root, proof), from == to);
      for (const Digest& bad : {Digest{}, garbage, sha256({})}) {
        EXPECT_FALSE(verify_consistency(from, bad, to, new_root, proof));
        EXPECT_FALSE(verify_consistency(from, old_root, to, bad, proof));
      }
      for (const auto& bad : mangled(proof, {old_root, new_root, garbage, Digest{}}))
        EXPECT_FALSE(verify_consistency(from, old_root, to, new_root, bad));
    }
  }
}

TEST(Merkle, HugeClaimedSizesEndAtTheProofsEnd) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  const Digest leaf = leaf_hash("x");
  EXPECT_FALSE(verify_inclusion(leaf, kMost - 1, kMost, {}, leaf));
  EXPECT_FALSE(verify_inclusion(leaf, 0, kMost, std::vector<Digest>(64, leaf), leaf));
  EXPECT_FALSE(verify_inclusion(leaf, kMost, kMost, {}, leaf));
  EXPECT_FALSE(verify_consistency(kMost - 1, leaf, kMost, leaf, {leaf}));
  EXPECT_FALSE(verify_consistency(1, leaf, kMost, leaf, std::vector<Digest>(70, leaf)));
}

TEST(Merkle, LeavesAndNodesAreDifferentDomains) {
  const Digest a = leaf_hash("a"), b = leaf_hash("b");
  std::string pair(as_text(as_bytes(a)));
  pair += as_text(as_bytes(b));
  EXPECT_NE(leaf_hash(pair), node_hash(a, b));
}

}  // namespace
}  // namespace aftune::hash
