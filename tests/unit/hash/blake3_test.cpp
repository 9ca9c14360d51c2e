#include "hash/blake3.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>
#include <string>

#include "base/cpu.h"
#include "hash/blake3_tree.h"

namespace aftune::hash {
namespace {

constexpr std::string_view kKeyText = "whats the Elvish word for friend";
constexpr std::string_view kContext = "BLAKE3 2019-12-27 16:29:52 test vectors context";

Bytes pattern(std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(i % 251);
  return out;
}

Digest test_key() {
  Digest key;
  std::copy(kKeyText.begin(), kKeyText.end(), key.bytes.begin());
  return key;
}

std::vector<Isa> isas_here() {
  std::vector<Isa> out{Isa::kScalar};
  if (active_isa() != Isa::kScalar) out.push_back(Isa::kAvx2);
  if (active_isa() >= Isa::kAvx512) out.push_back(Isa::kAvx512);
  return out;
}

Blake3Mode mode_for(Isa isa, const Digest* key = nullptr) {
  Blake3Mode mode{&blake3_lanes(isa), {}, key != nullptr ? kKeyedHash : 0u};
  std::copy(std::begin(kIv), std::end(kIv), mode.key.begin());
  if (key != nullptr) std::memcpy(mode.key.data(), key->bytes.data(), 32);
  return mode;
}

Digest digest_with(Isa isa, ByteView bytes, ThreadPool* pool = nullptr) {
  const Blake3Mode mode = mode_for(isa);
  Digest digest;
  blake3_subtree(mode, bytes, 0, pool).root(mode, 0, std::as_writable_bytes(std::span(digest.bytes)));
  return digest;
}

struct Vector {
  std::size_t length;
  std::string plain, keyed, derived;  // extended output, hex
};

std::vector<Vector> official_vectors() {
  std::ifstream file(AFTUNE_TESTS_DIR "/vectors/blake3/vectors.txt");
  std::vector<Vector> out;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    Vector v;
    words >> v.length >> v.plain >> v.keyed >> v.derived;
    out.push_back(v);
  }
  return out;
}

std::string extended_hex(const Blake3& hasher, std::uint64_t offset, std::size_t size) {
  Bytes out(size);
  hasher.finish_xof(offset, out);
  return to_hex(out);
}

TEST(Blake3, OfficialVectorsInAllModes) {
  const std::vector<Vector> vectors = official_vectors();
  ASSERT_EQ(vectors.size(), 35u);
  for (const Vector& v : vectors) {
    SCOPED_TRACE(v.length);
    const Bytes input = pattern(v.length);
    EXPECT_EQ(to_hex(blake3(input)), v.plain.substr(0, 64));
    EXPECT_EQ(to_hex(blake3_keyed(test_key(), input)), v.keyed.substr(0, 64));
    EXPECT_EQ(to_hex(blake3_derive_key(kContext, input)), v.derived.substr(0, 64));
    EXPECT_EQ(extended_hex(Blake3().update(input), 0, 131), v.plain);
    EXPECT_EQ(extended_hex(Blake3::keyed(test_key()).update(input), 0, 131), v.keyed);
    EXPECT_EQ(extended_hex(Blake3::derive_key(kContext).update(input), 0, 131), v.derived);
  }
}

TEST(Blake3, PublishedValues) {
  EXPECT_EQ(to_hex(blake3("")), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
  EXPECT_EQ(to_hex(blake3("abc")), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
  EXPECT_EQ(to_hex(blake3_keyed(test_key(), {})),
            "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26");
  EXPECT_EQ(to_hex(blake3_derive_key(kContext, {})),
            "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d");
}

TEST(Blake3, ChainingValuesBelowTheRoot) {
  const Bytes input = pattern(2049);
  for (const Isa isa : isas_here()) {
    const Blake3Mode mode = mode_for(isa);
    const auto cv = [&](std::size_t from, std::size_t size) {
      Digest out;
      blake3_subtree(mode, ByteView(input).subspan(from, size), from / kChunkBytes, nullptr)
          .chaining_value(mode, std::as_writable_bytes(std::span(out.bytes)).data());
      return to_hex(out);
    };
    EXPECT_EQ(cv(0, 1024), "5c9e654411e393d1f4bec710ccd5bc5669ab177d610a0eb691fcfee92fb4e8b1");
    EXPECT_EQ(cv(1024, 1024), "5b1f23b8390368a2c15095910389d1b716eb52a6dfd34d0aa66a22a21b761ca7");
    EXPECT_EQ(cv(0, 2048), "811f7d4f1735258e27c68b9214ff7c4aac866d47f73deef1fd8908b5e38f804f");
    EXPECT_EQ(cv(2048, 1), "1ad5f780a5e31e5ae4584c8ea23e6e256eda8d14d4aba69c5350c4ec54be7f0a");
    EXPECT_EQ(to_hex(digest_with(isa, input)),
              "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030");
  }
}

// The specification, word by word and chunk by chunk: an oracle with nothing in common with the lanes.
namespace oracle {

using Cv = std::array<std::uint32_t, 8>;

std::array<std::uint32_t, 16> compress(const Cv& h, std::array<std::uint32_t, 16> m, std::uint64_t counter,
                                       std::uint32_t length, std::uint32_t flags) {
  std::array<std::uint32_t, 16> v;
  std::copy(h.begin(), h.end(), v.begin());
  std::copy(kIv, kIv + 4, v.begin() + 8);
  v[12] = static_cast<std::uint32_t>(counter), v[13] = static_cast<std::uint32_t>(counter >> 32);
  v[14] = length, v[15] = flags;
  const auto g = [&](int a, int b, int c, int d, std::uint32_t x, std::uint32_t y) {
    v[a] += v[b] + x, v[d] = std::rotr(v[d] ^ v[a], 16);
    v[c] += v[d], v[b] = std::rotr(v[b] ^ v[c], 12);
    v[a] += v[b] + y, v[d] = std::rotr(v[d] ^ v[a], 8);
    v[c] += v[d], v[b] = std::rotr(v[b] ^ v[c], 7);
  };
  constexpr int kPermutation[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};
  for (int round = 0; round < 7; ++round) {
    for (int i = 0; i < 4; ++i) g(i, 4 + i, 8 + i, 12 + i, m[2 * i], m[2 * i + 1]);
    for (int i = 0; i < 4; ++i)
      g(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[8 + 2 * i], m[9 + 2 * i]);
    const auto old = m;
    for (int i = 0; i < 16; ++i) m[i] = old[kPermutation[i]];
  }
  for (int i = 0; i < 8; ++i) v[i] ^= v[i + 8], v[i + 8] ^= h[i];
  return v;
}

Cv chunk(ByteView bytes, std::uint64_t counter, std::uint32_t root) {
  Cv h;
  std::copy(std::begin(kIv), std::end(kIv), h.begin());
  std::uint32_t flags = 1;
  do {
    const ByteView block = bytes.first(std::min<std::size_t>(64, bytes.size()));
    bytes = bytes.subspan(block.size());
    std::array<std::uint32_t, 16> m{};
    if (!block.empty()) std::memcpy(m.data(), block.data(), block.size());
    if (bytes.empty()) flags |= 2 | root;
    const auto out = compress(h, m, counter, static_cast<std::uint32_t>(block.size()), flags);
    std::copy_n(out.begin(), 8, h.begin());
    flags = 0;
  } while (!bytes.empty());
  return h;
}

Cv tree(ByteView bytes, std::uint64_t counter, std::uint32_t root) {
  if (bytes.size() <= 1024) return chunk(bytes, counter, root);
  std::size_t left = 1024;
  while (left * 2 < bytes.size()) left *= 2;
  const Cv l = tree(bytes.first(left), counter, 0);
  const Cv r = tree(bytes.subspan(left), counter + left / 1024, 0);
  std::array<std::uint32_t, 16> m;
  std::copy(l.begin(), l.end(), m.begin()), std::copy(r.begin(), r.end(), m.begin() + 8);
  Cv iv, h;
  std::copy(std::begin(kIv), std::end(kIv), iv.begin());
  const auto out = compress(iv, m, 0, 64, 4 | root);
  std::copy_n(out.begin(), 8, h.begin());
  return h;
}

Digest hash(ByteView bytes) {
  const Cv h = tree(bytes, 0, 8);
  Digest d;
  std::memcpy(d.bytes.data(), h.data(), 32);
  return d;
}

}  // namespace oracle

Bytes random_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 rng(seed);
  Bytes out(size);
  for (std::byte& b : out) b = static_cast<std::byte>(rng());
  return out;
}

TEST(Blake3, EveryIsaEqualsTheSpecificationAtEveryChunkCount) {
  const Bytes input = random_bytes(70 * 1024 + 1, 1);
  std::vector<std::size_t> sizes;
  for (std::size_t chunks = 0; chunks <= 70; ++chunks)
    for (const int beside : {-1, 0, 1})
      if (chunks * 1024 + beside <= input.size()) sizes.push_back(chunks * 1024 + beside);
  for (std::size_t size = 0; size <= 200; ++size) sizes.push_back(size);
  for (const std::size_t size : sizes) {
    const ByteView bytes = ByteView(input).first(size);
    const Digest expected = oracle::hash(bytes);
    for (const Isa isa : isas_here())
      ASSERT_EQ(digest_with(isa, bytes), expected) << size << ' ' << name(isa);
    ASSERT_EQ(Blake3().update(bytes).finish(), expected) << size;
  }
}

TEST(Blake3, MisalignedInputsHashTheSame) {
  const Bytes input = random_bytes(40000 + 64, 2);
  for (std::size_t shift = 0; shift < 64; shift += 7) {
    const ByteView bytes = ByteView(input).subspan(shift, 40000);
    const Digest expected = oracle::hash(bytes);
    for (const Isa isa : isas_here()) ASSERT_EQ(digest_with(isa, bytes), expected);
  }
}

TEST(Blake3, ThreadsDoNotChangeTheDigest) {
  const Bytes input = random_bytes((5 << 20) + 12345, 3);
  ThreadPool pools[] = {ThreadPool(1), ThreadPool(2), ThreadPool(3)};
  for (const std::size_t size : {std::size_t{0}, std::size_t{1} << 17, (std::size_t{1} << 18) - 1,
                                 std::size_t{1} << 18, (std::size_t{1} << 18) + 1, std::size_t{3} << 18,
                                 std::size_t{1} << 20, (std::size_t{1} << 20) + 1023, input.size()}) {
    const ByteView bytes = ByteView(input).first(size);
    const Digest expected = oracle::hash(bytes);
    EXPECT_EQ(blake3(bytes), expected) << size;
    for (ThreadPool& pool : pools) {
      for (const Isa isa : isas_here()) EXPECT_EQ(digest_with(isa, bytes, &pool), expected) << size;
      EXPECT_EQ(Blake3().update(bytes, &pool).finish(), expected) << size;
    }
  }
}

TEST(Blake3, ChunkNumbersAbove32BitsEnterTheHash) {
  const Bytes input = random_bytes(16 * 1024, 4);
  for (const Isa isa : isas_here()) {
    const Blake3Mode mode = mode_for(isa);
    // Chunks that straddle 2^32, alone and all together.
    constexpr std::uint64_t kFirst = (std::uint64_t{1} << 32) - 5;
    std::byte together[16 * kCvBytes];
    mode.lanes->hash_chunks(input.data(), 16, mode.key.data(), kFirst, 0, together);
    for (std::size_t i = 0; i < 16; ++i) {
      Digest cv;
      const oracle::Cv expected = oracle::chunk(ByteView(input).subspan(i * 1024, 1024), kFirst + i, 0);
      std::memcpy(cv.bytes.data(), together + i * kCvBytes, kCvBytes);
      ASSERT_EQ(std::memcmp(cv.bytes.data(), expected.data(), kCvBytes), 0) << i << ' ' << name(isa);
    }
  }
}

TEST(Blake3, AnySplitOfUpdatesEqualsOneShot) {
  constexpr std::uint64_t kSeed = 5;
  std::mt19937_64 rng(kSeed);
  const Bytes input = random_bytes(600000, kSeed);
  ThreadPool pool(2);
  for (int round = 0; round < 300; ++round) {
    // Sizes over all magnitudes, and often on the edges of blocks, chunks and the pending buffer.
    const auto size_up_to = [&](std::size_t most) {
      const std::size_t magnitude = std::size_t{1} << rng() % 20;
      const std::size_t edge = rng() % 3 == 0 ? magnitude + rng() % 3 - 1 : rng() % (magnitude + 1);
      return std::min(most, edge);
    };
    const ByteView bytes = ByteView(input).first(size_up_to(input.size()));
    Blake3 hasher;
    for (ByteView rest = bytes; !rest.empty();) {
      const std::size_t piece = size_up_to(rest.size());
      hasher.update(rest.first(piece), rng() % 2 == 0 ? &pool : nullptr);
      rest = rest.subspan(piece);
      if (rng() % 8 == 0) {
        const std::size_t done = bytes.size() - rest.size();
        ASSERT_EQ(hasher.finish(), blake3(bytes.first(done))) << "seed " << kSeed << " round " << round;
      }
    }
    ASSERT_EQ(hasher.finish(), blake3(bytes)) << "seed " << kSeed << " round " << round;
  }
}

TEST(Blake3, OneByteAtATimeOverManyChunks) {
  const Bytes input = random_bytes(66000, 6);
  Blake3 hasher;
  for (const std::byte& b : input) hasher.update(ByteView(&b, 1));
  EXPECT_EQ(hasher.finish(), oracle::hash(input));
}

TEST(Blake3, ExtendedOutputMayBeReadFromAnywhere) {
  const Blake3 hasher = Blake3().update("extended");
  Bytes whole(1000);
  hasher.finish_xof(0, whole);
  EXPECT_EQ(to_hex(ByteView(whole).first(32)), to_hex(hasher.finish()));
  for (const std::size_t offset : {1u, 31u, 63u, 64u, 65u, 500u, 999u})
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{64}, 1000 - offset}) {
      if (offset + size > 1000) continue;
      EXPECT_EQ(extended_hex(hasher, offset, size), to_hex(ByteView(whole).subspan(offset, size)));
    }
}

TEST(Blake3, CopiesAndMovesGoTheirOwnWays) {
  Blake3 a;
  a.update(pattern(20000));
  Blake3 b = a;
  b.update("more");
  EXPECT_EQ(a.finish(), blake3(pattern(20000)));
  Blake3 c = std::move(b);
  b = a;  // NOLINT: assigning to a moved-from hasher is allowed
  EXPECT_EQ(b.finish(), a.finish());
  b = c;
  EXPECT_EQ(b.finish(), c.finish());
  EXPECT_NE(b.finish(), a.finish());
}

}  // namespace
}  // namespace aftune::hash
