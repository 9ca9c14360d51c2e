#include "trace/segment.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/json.h"
#include "hash/blake3.h"
#include "hdf5_leaks.h"
#include "scratch.h"
#include "trace/chunking.h"
#include "trace/segment_index.h"

namespace aftune::trace {
namespace {

using testing_support::Scratch;

Bytes some_bytes(std::uint64_t count, unsigned seed) {
  std::mt19937 random(seed);
  Bytes bytes(count);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random() % 7 == 0 ? random() : 3);
  return bytes;
}

struct Dataset {
  std::string path;
  DType dtype;
  Shape shape;
  Packing packing;
  Bytes bytes() const {
    return some_bytes(byte_size({path, dtype, shape}), static_cast<unsigned>(hash::blake3(path).bytes[0]));
  }
};

const std::vector<Dataset> kDatasets = {
    {"/steps/0/tokens", DType::kI32, {11}, Packing::kZstd},
    {"/steps/0/layout", DType::kI32, {0}, Packing::kZstd},
    {"/steps/10/tokens", DType::kI32, {400'000}, Packing::kZstd},  // several chunks, the last short
    {"/state/scalar", DType::kF32, {}, Packing::kZstd},
    {"/state/model.layers.0.mlp.up_proj.weight", DType::kF32, {3, 5}, Packing::kRaw},
    {"/state/wide", DType::kF32, {3, 300'000}, Packing::kZstd},  // a row is longer than a chunk
    {"/state/deep", DType::kF32, {2, 3, 70, 1000}, Packing::kZstd},
    {"/state/half", DType::kBF16, {9, 4}, Packing::kZstd},
    {"/state/half.raw", DType::kF16, {4}, Packing::kRaw},
};

void write_all(const fs::path& path, ThreadPool* pool) {
  SegmentWriter writer(path);
  for (const Dataset& d : kDatasets) writer.add(d.path, d.dtype, d.shape, d.bytes(), d.packing, pool);
  writer.commit();
}

std::string message_of(const std::function<void()>& body, Fault fault) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), fault) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

// Thousands of damaged files are written here: no fsync, and no overwriting, which a file system may make
// durable at once.
void put(const fs::path& path, std::string_view text) {
  fs::remove(path);
  std::ofstream(path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
}

// Reads every dataset, as its index describes it.
void read_everything(const fs::path& path) {
  const SegmentReader reader(path);
  for (const SegmentReader::Entry& e : reader.entries()) reader.read(e.path, e.dtype, e.shape);
}

// What a liar can do: any change, with the digest made right again.
void rewrite(const fs::path& path, std::string text) {
  const Digest digest = hash::blake3(std::string_view(text).substr(kUserBlock));
  text.replace(kSegmentMagic.size(), 64, to_hex(digest));
  put(path, text);
}

TEST(Segment, RoundTripsEveryTypeShapeAndPacking) {
  const Scratch scratch("segment");
  ThreadPool pool(3);
  for (ThreadPool* p : {static_cast<ThreadPool*>(nullptr), &pool}) {
    write_all(scratch / "s.h5", p);
    const SegmentReader reader(scratch / "s.h5");
    EXPECT_EQ(reader.entries().size(), kDatasets.size());
    for (const Dataset& d : kDatasets) {
      EXPECT_TRUE(reader.has(d.path));
      EXPECT_EQ(reader.read(d.path, d.dtype, d.shape), d.bytes()) << d.path;
    }
    EXPECT_FALSE(reader.has("/state"));
    EXPECT_EQ(reader.read_ints("/steps/0/tokens", 11).size(), 11u);
  }
}

TEST(Segment, IsAFunctionOfItsContents) {
  const Scratch scratch("segment");
  ThreadPool pool(2);
  write_all(scratch / "a.h5", nullptr);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // a stored time would differ
  write_all(scratch / "b.h5", &pool);
  EXPECT_EQ(read_file(scratch / "a.h5", 1 << 28), read_file(scratch / "b.h5", 1 << 28));
}

TEST(Segment, TheDigestInFrontIsOfAllTheRest) {
  const Scratch scratch("segment");
  write_all(scratch / "s.h5", nullptr);
  const std::string text = read_file(scratch / "s.h5", 1 << 28);
  EXPECT_EQ(text.substr(0, 17), "aftune-segment/1\n");
  EXPECT_EQ(text.substr(17, 65), to_hex(hash::blake3(std::string_view(text).substr(512))) + "\n");
}

TEST(Segment, RefusesWhatTheCallerDidNotExpect) {
  const Scratch scratch("segment");
  write_all(scratch / "s.h5", nullptr);
  const SegmentReader reader(scratch / "s.h5");
  const auto refused = [&](const std::function<void()>& body) {
    EXPECT_NE(message_of(body, Fault::kEvidence).find("s.h5: /st"), std::string::npos);
  };
  refused([&] { reader.read("/steps/0/absent", DType::kI32, {1}); });
  refused([&] { reader.read("/steps/0/tokens", DType::kI32, {12}); });
  refused([&] { reader.read("/steps/0/tokens", DType::kF32, {11}); });
  refused([&] { reader.read("/state/wide", DType::kF32, {900'000}); });
  refused([&] { reader.read_ints("/steps/0/tokens", 10); });
  refused([&] { reader.read_ints("/state/wide", 1'000'000); });
}

TEST(Segment, AnyChangedByteIsAnErrorThatNamesTheFile) {
  const Scratch scratch("segment");
  {
    SegmentWriter writer(scratch / "s.h5");
    writer.add("/steps/0/tokens", DType::kI32, {5}, some_bytes(20, 1), Packing::kZstd);
    writer.add("/state/w", DType::kF32, {2, 2}, some_bytes(16, 2), Packing::kRaw);
    writer.commit();
  }
  const std::string text = read_file(scratch / "s.h5", 1 << 20);
  ASSERT_LT(text.size(), 20000u);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string bad = text;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    put(scratch / "bad.h5", bad);
    const std::string message = message_of([&] { SegmentReader{scratch / "bad.h5"}; }, Fault::kEvidence);
    EXPECT_NE(message.find("bad.h5: "), std::string::npos) << i;
  }
}

TEST(Segment, AnyTruncationIsAnError) {
  const Scratch scratch("segment");
  write_all(scratch / "s.h5", nullptr);
  const std::string text = read_file(scratch / "s.h5", 1 << 28);
  for (const std::size_t size :
       {0ul, 1ul, 511ul, 512ul, 519ul, 520ul, 4096ul, text.size() / 2, text.size() - 9, text.size() - 1}) {
    put(scratch / "bad.h5", std::string_view(text).substr(0, size));
    message_of([&] { SegmentReader{scratch / "bad.h5"}; }, Fault::kEvidence);
  }
  put(scratch / "bad.h5", text + '\0');
  message_of([&] { SegmentReader{scratch / "bad.h5"}; }, Fault::kEvidence);
  message_of([&] { SegmentReader{scratch / "absent.h5"}; }, Fault::kEvidence);
  fs::create_symlink(scratch / "s.h5", scratch / "link.h5");
  message_of([&] { SegmentReader{scratch / "link.h5"}; }, Fault::kEvidence);
  message_of([&] { SegmentReader{scratch.path()}; }, Fault::kEvidence);
}

// With the digest made right again a change may go unseen here (the log's digests see it), but it must never
// crash, take unbounded memory, or raise anything but evidence.
TEST(Segment, ALiarsBytesAreSurvived) {
  const Scratch scratch("segment");
  {
    SegmentWriter writer(scratch / "s.h5");
    writer.add("/a", DType::kI32, {700}, some_bytes(2800, 1), Packing::kZstd);
    writer.add("/b", DType::kF32, {2, 2}, some_bytes(16, 2), Packing::kRaw);
    writer.commit();
  }
  const std::string text = read_file(scratch / "s.h5", 1 << 20);
  std::mt19937 random(20240601);
  for (int round = 0; round < 1500; ++round) {
    std::string bad = text;
    // Mostly in the index and its length, at the end; sometimes anywhere.
    const std::size_t reach =
        random() % 4 == 0 ? text.size() - kUserBlock : std::min<std::size_t>(300, text.size());
    for (auto n = 1 + random() % 3; n > 0; --n)
      bad[text.size() - 1 - random() % reach] = static_cast<char>(random());
    rewrite(scratch / "bad.h5", bad);
    try {
      read_everything(scratch / "bad.h5");
    } catch (const Error& e) {
      ASSERT_EQ(e.fault(), Fault::kEvidence) << e.what();
    }
  }
}

std::string framed(const std::string& data, const std::string& index) {
  std::string text(kSegmentMagic);
  text += std::string(64, '0') + "\n";
  text.resize(kUserBlock, '\0');
  text += data + index;
  Bytes length;
  append_le(length, static_cast<std::uint64_t>(index.size()));
  return text + std::string(as_text(length));
}

TEST(Segment, AnIndexThatLiesIsRefused) {
  const Scratch scratch("segment");
  const std::string data(16, 'd');
  const auto entry = [](std::string_view chunk, std::string_view extents, std::string_view path,
                        std::string_view shape) {
    return cat(R"({"chunk":)", chunk, R"(,"dtype":"F32","extents":)", extents, R"(,"path":")", path,
               R"(","shape":)", shape, "}");
  };
  const auto open = [&](const std::string& index) {
    rewrite(scratch / "s.h5", framed(data, index));
    read_everything(scratch / "s.h5");
  };
  EXPECT_NO_THROW(open("[" + entry("[]", "[[512,16]]", "/a", "[4]") + "]"));
  for (const std::string& bad : {
           entry("[]", "[[512,16]]", "/a", "[5]"),  // more elements than bytes
           entry("[]", "[[513,16]]", "/a", "[4]"),  // past the end
           entry("[]", "[[511,16]]", "/a", "[4]"),  // in the user block
           entry("[]", "[[9007199254740991,16]]", "/a", "[4]"), entry("[]", "[]", "/a", "[4]"),
           entry("[]", "[[512,8],[520,8]]", "/a", "[4]"), entry("[]", "[[512,-16]]", "/a", "[4]"),
           entry("[]", "[[512,16]]", "/../a", "[4]"), entry("[]", "[[512,16]]", "a", "[4]"),
           entry("[]", "[[512,16]]", "/a/", "[4]"),
           entry("[]", "[[512,0]]", "/a", "[4611686018427387904,4]"),  // the product overflows
           entry("[]", "[[512,16]]", "/a", "[1,1,1,1,1,1,1,1,4]"),     // too many dimensions
           entry("[0]", "[[512,16]]", "/a", "[4]"), entry("[5]", "[[512,16]]", "/a", "[4]"),
           entry("[2]", "[[512,16]]", "/a", "[4]"),              // two chunks, one extent
           entry("[4]", "[[512,16]]", "/a", "[4]"),              // not a zstd frame
           entry("[2,1]", "[[512,8],[520,8]]", "/a", "[2,2]"),   // not one run of elements
           entry("[4000000]", "[[512,16]]", "/a", "[4000000]"),  // a chunk of 16 MB
       })
    EXPECT_NE(message_of([&] { open("[" + bad + "]"); }, Fault::kEvidence).find("s.h5: "), std::string::npos)
        << bad;
  message_of([&] { open("{}"); }, Fault::kEvidence);
  message_of([&] { open("[{}]"); }, Fault::kEvidence);
  const std::string a = entry("[]", "[[512,16]]", "/a", "[4]");
  message_of([&] { open("[" + a + "," + a + "]"); }, Fault::kEvidence);
}

TEST(Segment, AZstdBombIsRefusedWithoutUnpackingIt) {
  Bytes big(std::size_t{1} << 20);
  const Bytes frame = ChunkCodec(1 << 18, 4).encode(big);
  ASSERT_LT(frame.size(), 200u);
  Bytes out(400);
  EXPECT_THROW(ChunkCodec(100, 4).decode(frame, out), Error);
  Bytes twice = ChunkCodec(100, 4).encode(out);
  const Bytes once = twice;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_THROW(ChunkCodec(100, 4).decode(twice, out), Error);
  EXPECT_THROW(ChunkCodec(200, 4).decode(once, out), Error);
  EXPECT_NO_THROW(ChunkCodec(100, 4).decode(once, out));
}

// A file of the segment form whose index says what it likes about `data`.
std::string around(std::string_view data, const std::vector<DatasetEntry>& entries) {
  const std::string index = index_to_text(entries);
  Bytes size;
  append_le(size, std::uint64_t{index.size()});
  std::string text(kSegmentMagic);
  text += std::string(64, '0') + '\n';
  text.resize(kUserBlock, '\0');
  return text.append(data).append(index).append(as_text(size));
}

TEST(Segment, OneChunkCannotStandForMany) {
  const Scratch scratch("segment");
  const Bytes zeros(std::size_t{1} << 20);
  const Bytes frame = ChunkCodec(1 << 20, 1).encode(zeros);
  const Extent chunk{kUserBlock, frame.size()};
  DatasetEntry bomb{"/evidence/index", DType::kU8, {100 << 20}, {1 << 20}, std::vector<Extent>(100, chunk)};
  rewrite(scratch / "s.h5", around(as_text(frame), {bomb}));
  EXPECT_NE(message_of([&] { SegmentReader(scratch / "s.h5"); }, Fault::kEvidence).find("overlap"),
            std::string::npos);
  DatasetEntry shared{"/x", DType::kU8, {1}, {}, {{kUserBlock + 1, 1}}};
  DatasetEntry once{"/a", DType::kU8, {1 << 20}, {1 << 20}, {chunk}};
  rewrite(scratch / "s.h5", around(as_text(frame), {once, shared}));
  EXPECT_NE(message_of([&] { SegmentReader(scratch / "s.h5"); }, Fault::kEvidence).find("overlap"),
            std::string::npos);
}

TEST(Segment, WhatBlowsUpIsNotUnpackedOnTheFilesWordAlone) {
  const Scratch scratch("segment");
  const Bytes zeros(std::size_t{1} << 20);
  const Bytes frame = ChunkCodec(1 << 20, 1).encode(zeros);
  std::string data;
  DatasetEntry bomb{"/evidence/index", DType::kU8, {100 << 20}, {1 << 20}, {}};
  for (int i = 0; i < 100; ++i) {
    bomb.extents.push_back({kUserBlock + data.size(), frame.size()});
    data += as_text(frame);
  }
  rewrite(scratch / "s.h5", around(data, {bomb}));
  const SegmentReader reader(scratch / "s.h5");
  const auto refused = [&](const std::function<void()>& body) {
    EXPECT_NE(message_of(body, Fault::kEvidence).find("104857600 bytes, stored in"), std::string::npos);
  };
  refused([&] { reader.read_text(bomb.path, std::int64_t{1} << 28); });
  refused([&] { reader.hash(bomb.path); });
  // Whoever knows the size asks for it, and gets it.
  EXPECT_EQ(reader.read(bomb.path, DType::kU8, {100 << 20}).size(), std::size_t{100} << 20);
}

TEST(Segment, HashesADatasetOfAnyPacking) {
  const Scratch scratch("segment");
  write_all(scratch / "s.h5", nullptr);
  const SegmentReader reader(scratch / "s.h5");
  for (const Dataset& d : kDatasets) EXPECT_EQ(reader.hash(d.path), hash::blake3(d.bytes())) << d.path;
}

TEST(Segment, WithoutCommitNothingAppears) {
  const Scratch scratch("segment");
  {
    SegmentWriter writer(scratch / "s.h5");
    writer.add("/a", DType::kI32, {5}, some_bytes(20, 1), Packing::kRaw);
  }
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

TEST(Segment, AFullDiskIsAnErrorAndNothingAppears) {
  const Scratch scratch("segment");
  std::signal(SIGXFSZ, SIG_IGN);
  Bytes noise(400'000);
  std::mt19937 random(5);
  for (std::byte& b : noise) b = static_cast<std::byte>(random());
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  for (const rlim_t limit : {100ul, 1000ul, 3000ul, 50000ul, 150000ul}) {
    for (const Packing packing : {Packing::kRaw, Packing::kZstd}) {
      const rlimit small{limit, old.rlim_max};
      ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
      const std::string message = message_of(
          [&] {
            SegmentWriter writer(scratch / "s.h5");
            writer.add("/a", DType::kI32, {100'000}, noise, packing);
            writer.commit();
          },
          Fault::kSystem);
      ::setrlimit(RLIMIT_FSIZE, &old);
      EXPECT_NE(message.find("File too large"), std::string::npos) << message;
      EXPECT_TRUE(fs::is_empty(scratch.path())) << limit;
    }
  }
  write_all(scratch / "s.h5", nullptr);  // the library works on
  read_everything(scratch / "s.h5");
}

TEST(Chunking, RunsTileEveryShape) {
  for (const Shape& shape :
       std::vector<Shape>{{1}, {7}, {3, 5}, {1, 9}, {2, 1, 4}, {400'000}, {3, 300'000}, {5, 4, 40'000}}) {
    const Chunking chunking = Chunking::choose(shape, 4);
    EXPECT_LE(chunking.elements() * 4, kMaxChunkBytes);
    const Chunking again = Chunking::checked(shape, 4, chunking.dims());
    ASSERT_EQ(again.count(), chunking.count());
    std::int64_t next = 0;
    for (std::int64_t c = 0; c < chunking.count(); ++c) {
      const Chunking::Run run = chunking.run(c);
      EXPECT_EQ(run.first, next);
      EXPECT_EQ(again.run(c).first, next);
      std::int64_t flat = 0;
      for (std::size_t d = 0; d < shape.size(); ++d) flat = flat * shape[d] + run.offset[d];
      EXPECT_EQ(flat, run.first);
      next += run.length;
    }
    EXPECT_EQ(next, element_count(shape));
  }
}

}  // namespace
}  // namespace aftune::trace
