#include "hash/blake3_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "hash/blake3.h"

namespace aftune::hash {
namespace {

Bytes random_bytes(std::size_t size, std::mt19937& rng) {
  Bytes out(size);
  for (std::byte& b : out) b = static_cast<std::byte>(rng());
  return out;
}

struct Part {
  std::size_t offset, size;
};

/// The digest after these parts were added; `read` gets how many bytes were asked for.
Digest by_parts(const Bytes& file, const std::vector<Part>& parts, std::size_t& read) {
  Blake3Parts digest;
  for (const Part& p : parts) digest.add(p.offset, ByteView(file).subspan(p.offset, p.size));
  read = 0;
  return digest.finish(file.size(), [&](std::uint64_t offset, std::span<std::byte> out) {
    read += out.size();
    std::copy_n(file.data() + offset, out.size(), out.data());
  });
}

TEST(Blake3Parts, WithoutPartsItIsTheHash) {
  std::mt19937 rng(1);
  for (const std::size_t size : {0, 1, 1023, 1024, 1025, 2048, 2049, 3 * 1024, 16 * 1024, 16 * 1024 + 1,
                                 (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20, (5 << 20) + 777}) {
    const Bytes file = random_bytes(size, rng);
    std::size_t read = 0;
    EXPECT_EQ(by_parts(file, {}, read), blake3(file)) << size;
    EXPECT_EQ(read, size);
  }
}

// Every part of every small file, at both ends and inside: what is read besides decides no bit.
TEST(Blake3Parts, AnyOnePartOfASmallFile) {
  std::mt19937 rng(2);
  for (std::size_t chunks = 1; chunks <= 9; ++chunks)
    for (const std::size_t more : {0, 1, 1023}) {
      const Bytes file = random_bytes(chunks * 1024 + more, rng);
      const Digest expected = blake3(file);
      for (std::size_t first = 0; first <= file.size(); first += 512)
        for (std::size_t last = first; last <= file.size(); last += 512) {
          std::size_t read = 0;
          ASSERT_EQ(by_parts(file, {{first, last - first}}, read), expected)
              << file.size() << " bytes, part " << first << " to " << last;
        }
    }
}

TEST(Blake3Parts, ManyPartsInAnyOrder) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 rng(seed);
    const Bytes file = random_bytes(1 + rng() % (std::size_t{3} << 20), rng);
    std::vector<Part> parts;
    for (std::size_t at = rng() % 5000; at < file.size();) {
      const std::size_t size = std::min<std::size_t>(rng() % (1u << (rng() % 20)), file.size() - at);
      if (rng() % 4 != 0) parts.push_back({at, size});
      at += size + (rng() % 2 == 0 ? 0 : rng() % 3000);
      if (size == 0) ++at;
    }
    if (seed % 2 == 0) std::shuffle(parts.begin(), parts.end(), rng);
    std::size_t read = 0;
    EXPECT_EQ(by_parts(file, parts, read), blake3(file));
  }
}

// Pieces of one part that are not whole chunks leave nothing to be read but the part's ends.
TEST(Blake3Parts, ReadsNoMoreThanTheEnds) {
  std::mt19937 rng(3);
  const Bytes file = random_bytes(std::size_t{4} << 20, rng);
  std::vector<Part> parts;
  const std::size_t begin = 3584, end = file.size() - 5000;
  for (std::size_t at = begin; at < end; at += parts.back().size)
    parts.push_back({at, std::min<std::size_t>(100'000, end - at)});
  std::size_t read = 0;
  EXPECT_EQ(by_parts(file, parts, read), blake3(file));
  EXPECT_LE(read, begin + 5000 + 2 * 1024);
}

// A byte that changed after it was added is not looked at again: the digest is that of what was added.
TEST(Blake3Parts, WhatWasAddedCounts) {
  std::mt19937 rng(4);
  const Bytes before = random_bytes(100'000, rng);
  Bytes after = before;
  after[5000] ^= std::byte{1};
  Blake3Parts digest;
  digest.add(0, ByteView(before).first(90'000));
  EXPECT_EQ(digest.finish(after.size(),
                          [&](std::uint64_t offset, std::span<std::byte> out) {
                            std::copy_n(after.data() + offset, out.size(), out.data());
                          }),
            blake3(before));
}

}  // namespace
}  // namespace aftune::hash
