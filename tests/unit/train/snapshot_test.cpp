#include "train/snapshot.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "hash/blake3.h"
#include "scratch.h"
#include "toy_run.h"
#include "trace/layout.h"

namespace aftune::train {
namespace {

std::vector<Digest> digests(const Blocks& blocks) {
  std::vector<Digest> list;
  for (const auto& block : blocks)
    for (const model::Parameter& p : block->parameters())
      for (const Buffer* b : {&p.value, p.moments.data(), p.moments.data() + 1})
        list.push_back(hash::blake3(b->bytes()));
  return list;
}

void scramble(Blocks& blocks) {
  for (const auto& block : blocks)
    for (model::Parameter& p : block->parameters())
      for (Buffer* b : {&p.value, p.moments.data(), p.moments.data() + 1})
        std::memset(b->data(), 0xff, b->bytes().size());
}

class SnapshotTest : public testing::TestWithParam<trace::Packing> {
 protected:
  const testing_support::Scratch scratch{"snapshot"};
  const record::Manifest manifest = toy::manifest();

  std::vector<Digest> stored(const fs::path& path, const Blocks& like) const {
    Blocks blocks = toy::large_blocks(manifest);
    const trace::SegmentReader reader(path);
    EXPECT_TRUE(holds_state(reader, like, manifest.recipe));
    read_state(reader, blocks, manifest.recipe);
    return digests(blocks);
  }
};

// How long the writer has been at it, in milliseconds.
std::vector<int> delays() {
#if defined(__SANITIZE_THREAD__)
  return {0, 5, 100};
#else
  return {0, 1, 2, 3, 4, 5, 6, 8, 12, 20, 100};
#endif
}

// Whenever the blocks are asked back, before the writer begins, while it writes or later, the file holds the
// state that was lent.
TEST_P(SnapshotTest, IsTheStateThatWasLentWheneverTheBlocksChange) {
  ThreadPool pool(2);
  for (const int delay : delays()) {
    SCOPED_TRACE(delay);
    Blocks blocks = toy::large_blocks(manifest);
    const std::vector<Digest> lent = digests(blocks);
    const fs::path path = scratch / cat("s", delay, ".h5");
    Snapshot snapshot(blocks, manifest.recipe);
    std::thread writer([&] {
      trace::SegmentWriter segment(path);
      snapshot.write(segment, GetParam());
      segment.commit();
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    snapshot.keep(pool);
    scramble(blocks);
    writer.join();
    EXPECT_EQ(stored(path, blocks), lent);
    fs::remove(path);
  }
}

TEST_P(SnapshotTest, KeptBeforeAnythingIsWritten) {
  ThreadPool pool(2);
  Blocks blocks = toy::large_blocks(manifest);
  const std::vector<Digest> lent = digests(blocks);
  Snapshot snapshot(blocks, manifest.recipe);
  snapshot.keep(pool);
  scramble(blocks);
  trace::SegmentWriter segment(scratch / "s.h5");
  snapshot.write(segment, GetParam());
  segment.commit();
  EXPECT_EQ(stored(scratch / "s.h5", blocks), lent);
}

INSTANTIATE_TEST_SUITE_P(Packings, SnapshotTest, testing::Values(trace::Packing::kRaw, trace::Packing::kZstd),
                         [](const auto& p) { return p.param == trace::Packing::kRaw ? "raw" : "zstd"; });

}  // namespace
}  // namespace aftune::train
