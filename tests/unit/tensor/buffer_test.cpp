#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <thread>
#include <utility>

#include "base/error.h"
#include "tensor/block_cache.h"
#include "tensor/tensor.h"

namespace aftune {
namespace {

using tensor::BlockCache;
constexpr std::size_t kMiB = std::size_t{1} << 20;

TEST(Buffer, IsAlignedAndKeepsItsValuesThroughMoves) {
  for (const std::int64_t count : {1, 3, 16, 1000, 100000, 3000001}) {
    Buffer a(count);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data()) % 64, 0u);
    a[0] = 1.5f;
    a[count - 1] = 2.5f;
    Buffer b = std::move(a);
    EXPECT_TRUE(a.empty());  // NOLINT: a moved-from buffer is empty by contract
    Buffer c(7);
    c = std::move(b);
    EXPECT_EQ(c.size(), count);
    EXPECT_EQ(c[count - 1], 2.5f);
    const Buffer d = c.clone();
    EXPECT_NE(d.data(), c.data());
    EXPECT_EQ(d.bytes().size(), static_cast<std::size_t>(count) * 4);
    EXPECT_TRUE(std::equal(d.bytes().begin(), d.bytes().end(), c.bytes().begin()));
  }
}

TEST(Buffer, ThePoolCopiesAndClearsAllOfIt) {
  ThreadPool pool(3);
  for (const std::int64_t count : {0, 1, 1000, 1 << 18, (1 << 18) + 1, (5 << 18) - 3}) {
    Buffer a(count);
    for (std::int64_t i = 0; i < count; ++i) a[i] = static_cast<float>(i + 1);
    const Buffer b = a.clone(pool);
    a.clear(pool);
    ASSERT_EQ(b.size(), count);
    for (std::int64_t i = 0; i < count; ++i)
      ASSERT_TRUE(a[i] == 0.0f && b[i] == static_cast<float>(i + 1)) << i;
  }
}

TEST(Buffer, ZerosAreZeroInUsedBlocksToo) {
  constexpr std::int64_t kCount = 1 << 18;
  {
    Buffer dirty(kCount);
    for (std::int64_t i = 0; i < kCount; ++i) dirty[i] = -1.0f;
  }
  const Buffer clean = Buffer::zeros(kCount);
  for (std::int64_t i = 0; i < kCount; ++i) ASSERT_EQ(clean[i], 0.0f);
}

TEST(Buffer, EmptyOnesHaveNoMemory) {
  EXPECT_EQ(Buffer().data(), nullptr);
  EXPECT_EQ(Buffer(0).data(), nullptr);
  EXPECT_TRUE(Buffer::zeros(0).clone().empty());
  EXPECT_EQ(Matrix(0, 5).bytes().size(), 0u);
}

TEST(Buffer, ImpossibleSizesAreAnErrorNotACrash) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers' allocators abort here by design";
#endif
  try {
    const Buffer impossible(std::int64_t{1} << 55);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kSystem);
    EXPECT_STREQ(e.what(), "no memory for a buffer of 144115188075855872 bytes");
  }
}

TEST(BlockCache, ClassesWasteAtMostAnEighth) {
  for (std::size_t bytes = BlockCache::kLeast; bytes < 40 * kMiB; bytes += 4093) {
    const std::size_t size = BlockCache::class_size(bytes);
    ASSERT_GE(size, bytes);
    ASSERT_LE(size - bytes, bytes / 8);
    ASSERT_EQ(size % 4096, 0u);
    ASSERT_EQ(BlockCache::class_size(size), size);
  }
}

TEST(BlockCache, UsesAFreedBlockAgainForItsClassOnly) {
  BlockCache cache;
  void* const first = cache.take(4 * kMiB);
  cache.give(first, 4 * kMiB);
  EXPECT_EQ(cache.kept_bytes(), 4 * kMiB);
  EXPECT_EQ(cache.take(4 * kMiB - 100), first);
  EXPECT_EQ(cache.kept_bytes(), 0u);
  cache.give(first, 4 * kMiB - 100);
  void* const other = cache.take(kMiB);
  EXPECT_NE(other, first);
  cache.give(other, kMiB);
}

TEST(BlockCache, HoldsASixteenthMoreThanWasOnceLiveAtMost) {
  BlockCache cache;
  void* a = cache.take(4 * kMiB);
  void* b = cache.take(2 * kMiB);
  cache.give(a, 4 * kMiB);
  cache.give(b, 2 * kMiB);
  EXPECT_EQ(cache.kept_bytes(), 6 * kMiB);
  // Three and six are more than the peak of six and its sixteenth: the four are returned to the system.
  void* c = cache.take(3 * kMiB);
  EXPECT_EQ(cache.kept_bytes(), 2 * kMiB);
  void* d = cache.take(3 * kMiB);
  EXPECT_EQ(cache.kept_bytes(), 0u);
  cache.give(c, 3 * kMiB);
  cache.give(d, 3 * kMiB);
  EXPECT_EQ(cache.kept_bytes(), 6 * kMiB);
  cache.drop();
  EXPECT_EQ(cache.kept_bytes(), 0u);
}

TEST(BlockCache, KeepsWhatFitsInTheSixteenth) {
  BlockCache cache;
  void* a = cache.take(16 * kMiB);
  cache.give(a, 16 * kMiB);
  void* b = cache.take(kMiB);
  EXPECT_EQ(cache.kept_bytes(), 16 * kMiB);
  void* c = cache.take(kMiB / 2);
  EXPECT_EQ(cache.kept_bytes(), 0u);
  cache.give(b, kMiB);
  cache.give(c, kMiB / 2);
}

TEST(BlockCache, GivesEveryThreadItsOwnBlock) {
  BlockCache cache;
  const auto work = [&cache](std::uint64_t mark) {
    for (int i = 0; i < 500; ++i) {
      const std::size_t bytes = BlockCache::kLeast + static_cast<std::size_t>(i % 5) * 70000;
      auto* const block = static_cast<std::uint64_t*>(cache.take(bytes));
      block[0] = block[bytes / 8 - 1] = mark + static_cast<std::uint64_t>(i);
      ASSERT_EQ(block[0], mark + static_cast<std::uint64_t>(i));
      cache.give(block, bytes);
      if (i % 100 == 99) cache.drop();
    }
  };
  std::thread other(work, 1000000);
  work(2000000);
  other.join();
}

TEST(Buffer, DroppingReturnsWhatIsKept) {
  { const Buffer large(1 << 20); }
#if !defined(__SANITIZE_ADDRESS__)
  EXPECT_GT(tensor::block_cache().kept_bytes(), 0u);
#endif
  drop_kept_buffers();
  EXPECT_EQ(tensor::block_cache().kept_bytes(), 0u);
}

TEST(BlockCache, AForkedChildHasNoneOfTheBlocks) {
  BlockCache cache;
  void* live = cache.take(kMiB);
  void* kept = cache.take(kMiB);
  ASSERT_TRUE(live != nullptr && kept != nullptr);
  cache.give(kept, kMiB);
  const pid_t child = ::fork();
  if (child == 0) {
    unsigned char in_memory[kMiB / 4096];
    const bool absent = ::mincore(live, kMiB, in_memory) != 0 && ::mincore(kept, kMiB, in_memory) != 0;
    auto* taken = static_cast<char*>(cache.take(kMiB));  // one of its own, that can be written to
    taken[0] = taken[kMiB - 1] = 1;
    ::_exit(absent ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(cache.kept_bytes(), BlockCache::class_size(kMiB));
  cache.give(live, kMiB);
}

}  // namespace
}  // namespace aftune
