#include "trace/direct_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "base/error.h"
#include "scratch.h"

namespace aftune::trace {
namespace {

// Large and small writes in one file, from and to any place: the file is what they say, as others read it
// too.
TEST(DirectFile, HoldsWhatWasWrittenWherever) {
  const testing_support::Scratch scratch{"direct"};
  for (unsigned seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 rng(seed);
    const fs::path path = scratch / cat("f", seed);
    std::ofstream(path, std::ios::binary) << "";
    DirectFile file(path);
    Bytes expected;
    for (int i = 0; i < 12; ++i) {
      const std::size_t size = i % 3 == 0 ? rng() % 5000 : rng() % (std::size_t{3} << 20);
      const std::size_t offset = i % 4 == 0 ? expected.size() : rng() % (expected.size() + 10'000);
      Bytes memory(size + 64);
      for (std::byte& b : memory) b = static_cast<std::byte>(rng());
      const ByteView bytes = ByteView(memory).subspan(rng() % 64, size);
      file.write(offset, bytes);
      if (size == 0) continue;
      expected.resize(std::max(expected.size(), offset + size));
      std::copy(bytes.begin(), bytes.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    EXPECT_EQ(file.size(), expected.size());
    Bytes found(expected.size() + 1);
    ASSERT_EQ(file.read(0, found), expected.size());
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), found.begin()));
    const std::string text = read_file(path, std::uint64_t{1} << 30);
    EXPECT_TRUE(std::ranges::equal(as_bytes(text), expected));
  }
}

TEST(DirectFile, AFileThatIsNotThereIsAnError) {
  const testing_support::Scratch scratch{"direct"};
  EXPECT_THROW(DirectFile(scratch / "none"), Error);
}

}  // namespace
}  // namespace aftune::trace
