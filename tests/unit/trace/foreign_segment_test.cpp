#include "trace/foreign_segment.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <numeric>
#include <thread>

#include "base/error.h"
#include "fuzz/segment_bytes.h"
#include "hash/blake3.h"
#include "scratch.h"
#include "trace/segment.h"

namespace aftune::trace {
namespace {

using testing_support::Scratch;
using Line = LockedChild::Line;
using Ask = ForeignSegment::Ask;
using Request = ForeignSegment::Request;
using Answer = ForeignSegment::Answer;
using Outcome = ForeignSegment::Outcome;

constexpr std::int64_t kLong = 3'000'000;  // three million numbers: several windows, many chunks

void write_segment(const fs::path& path) {
  std::vector<std::int32_t> numbers(kLong);
  std::iota(numbers.begin(), numbers.end(), 0);
  SegmentWriter writer(path);
  writer.add("/steps/0/layout", DType::kI32, {0}, {}, Packing::kZstd);
  writer.add("/steps/0/tokens", DType::kI32, {kLong}, std::as_bytes(std::span(numbers)), Packing::kZstd);
  writer.add("/state/raw", DType::kF32, {1000, 3000}, std::as_bytes(std::span(numbers)), Packing::kRaw);
  writer.add("/state/packed", DType::kF32, {1000, 3000}, std::as_bytes(std::span(numbers)), Packing::kZstd);
  writer.add("/evidence/index", DType::kU8, {5}, as_bytes("index"), Packing::kRaw);
  writer.commit();
}

// All that a reader answers about a file, errors included, as one text.
template <class Body>
void note(std::string& said, const Body& body) {
  try {
    said += body();
  } catch (const Error& e) {
    said += cat(static_cast<int>(e.fault()), " ", e.what());
  }
  said += '\n';
}

std::string answers(const fs::path& path, Origin origin) {
  std::string said;
  note(said, [&] {
    const SegmentReader reader(path, origin);
    said += to_hex(reader.digest()) + '\n';
    for (const auto& e : reader.entries()) {
      said += describe({e.path, e.dtype, e.shape}) + '\n';
      AFTUNE_CHECK(reader.has(e.path) && !reader.has(e.path + "x"));
      const std::uint64_t size = byte_size({e.path, e.dtype, e.shape});
      note(said, [&] {
        const auto ints = reader.read_ints(e.path, kLong);
        return to_hex(hash::blake3(std::as_bytes(std::span(ints))));
      });
      note(said, [&] { return to_hex(as_bytes(reader.read_text(e.path, 1000))); });
      note(said, [&] { return to_hex(reader.hash(e.path)); });
      if (size > (std::uint64_t{1} << 25)) continue;
      note(said, [&] { return to_hex(hash::blake3(reader.read(e.path, e.dtype, e.shape))); });
      if (e.shape.size() != 2 || e.shape[0] < 2) continue;
      Bytes rows(static_cast<std::size_t>(e.shape[0] - 1) * static_cast<std::size_t>(e.shape[1]) *
                 size_of(e.dtype));
      note(said, [&] {
        reader.read_rows(e.path, e.dtype, e.shape, 1, e.shape[0] - 1, rows);
        return to_hex(hash::blake3(rows));
      });
    }
    note(said, [&] { return to_hex(reader.read("/no", DType::kF32, {1})); });
    return std::string("all");
  });
  return said;
}

TEST(ForeignSegment, AnswersAsAnOwnOne) {
  const Scratch scratch("foreign");
  write_segment(scratch / "s.h5");
  const std::string own = answers(scratch / "s.h5", Origin::kOwn);
  EXPECT_EQ(answers(scratch / "s.h5", Origin::kForeign), own);
  EXPECT_NE(own.find("all"), std::string::npos);
  for (const char* path : {"absent.h5", "."})
    EXPECT_EQ(answers(scratch / path, Origin::kForeign), answers(scratch / path, Origin::kOwn));
  fs::create_symlink(scratch / "s.h5", scratch / "link.h5");
  EXPECT_EQ(answers(scratch / "link.h5", Origin::kForeign), answers(scratch / "link.h5", Origin::kOwn));
}

TEST(ForeignSegment, RefusesWhatAnOwnOneRefusesInTheSameWords) {
  const Scratch scratch("foreign");
  const fs::path corpus = fs::path(AFTUNE_TESTS_DIR) / "fuzz/corpus/segment";
  std::size_t files = 0;
  for (const auto& input : fs::directory_iterator(corpus)) {
    const fs::path path = scratch / cat(files++, ".h5");
    std::ofstream(path, std::ios::binary) << fuzz::segment_of_input(read_file(input.path(), 1 << 24));
    EXPECT_EQ(answers(path, Origin::kForeign), answers(path, Origin::kOwn)) << input.path();
  }
  EXPECT_GT(files, 40u);
}

TEST(ForeignSegment, DamageIsFoundInTheSameWords) {
  const Scratch scratch("foreign");
  {
    SegmentWriter writer(scratch / "s.h5");
    writer.add("/steps/0/tokens", DType::kI32, {100}, Bytes(400, std::byte{5}), Packing::kZstd);
    writer.commit();
  }
  const std::string whole = read_file(scratch / "s.h5", 1 << 20);
  const auto compare = [&](const std::string& text) {
    std::ofstream(scratch / "bad.h5", std::ios::binary | std::ios::trunc) << text;
    EXPECT_EQ(answers(scratch / "bad.h5", Origin::kForeign), answers(scratch / "bad.h5", Origin::kOwn));
  };
  for (const std::size_t size : {0, 5, 300, 519, 520, 700}) compare(whole.substr(0, size));
  for (std::size_t at = 0; at < whole.size(); at += 97) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x11);
    compare(bad);
    compare(fuzz::with_right_digest(bad));
  }
}

TEST(ForeignSegment, IsReadFromSeveralThreads) {
  const Scratch scratch("foreign");
  write_segment(scratch / "s.h5");
  const SegmentReader reader(scratch / "s.h5", Origin::kForeign);
  const Digest expected = SegmentReader(scratch / "s.h5").hash("/state/raw");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const char* path = t % 2 == 0 ? "/state/raw" : "/state/packed";
      for (int i = 0; i < 3; ++i)
        EXPECT_EQ(hash::blake3(reader.read(path, DType::kF32, {1000, 3000})), expected);
    });
  for (std::thread& t : threads) t.join();
}

// ---- children that were taken over

void answer(Line& line, Outcome outcome, ByteView bytes, std::uint64_t size) {
  const Answer head{outcome, 0, size};
  line.send(std::as_bytes(std::span(&head, 1)));
  line.send(bytes);
}
void answer(Line& line, ByteView bytes) {
  answer(line, Outcome::kDone, bytes, bytes.size());
}

Bytes listed(std::string_view path, std::uint8_t dtype, const Shape& shape, std::uint64_t at = 0) {
  Bytes list;
  append_le(list, static_cast<std::uint16_t>(path.size()));
  for (const std::byte byte : as_bytes(path)) list.push_back(byte);
  append_le(list, dtype);
  append_le(list, static_cast<std::uint8_t>(shape.size()));
  for (const std::int64_t dimension : shape) append_le(list, dimension);
  append_le(list, std::uint64_t{40});
  append_le(list, at);
  return list;
}

// A child that is honest but for its answer to one question.
class ForeignSegmentLies : public testing::Test {
 protected:
  ForeignSegmentLies() : scratch_("foreign-lies") {
    SegmentWriter writer(scratch_ / "s.h5");
    writer.add("/a", DType::kI32, {10}, Bytes(40, std::byte{5}), Packing::kRaw);
    writer.commit();
    digest_ = SegmentReader(scratch_ / "s.h5").digest();
  }

  using Lie = std::function<void(Line&, const Request&)>;

  std::string told(Ask about, const Lie& lie,
                   const LockedChild::Limits& limits = {.memory = ForeignSegment::kMemory, .patience = 2}) {
    const auto child = [&](Line& line) {
      Request request;
      while (line.receive(std::as_writable_bytes(std::span(&request, 1)))) {
        if (request.ask == about)
          lie(line, request);
        else if (request.ask == Ask::kDigest)
          answer(line, as_bytes(digest_));
        else if (request.ask == Ask::kIndex)
          answer(line, listed("/a", static_cast<std::uint8_t>(DType::kI32), {10}));
      }
    };
    try {
      const ForeignSegment segment(scratch_ / "s.h5", limits, child);
      Bytes out(40);
      for (std::size_t at = 0; at < 40;)
        at += segment.read(0, static_cast<std::int64_t>(at / 4), 40 - at, std::span(out).subspan(at));
      return "read " + to_hex(out);
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::kEvidence) << e.what();
      return e.what();
    }
  }

  void expect_impossible(Ask about, const Lie& lie) {
    EXPECT_EQ(told(about, lie), "the process that reads it gave an answer that it cannot");
  }

  Scratch scratch_;
  Digest digest_;
};

TEST_F(ForeignSegmentLies, AboutTheDigest) {
  expect_impossible(Ask::kDigest, [](Line& line, const Request&) { answer(line, Bytes(31)); });
  expect_impossible(Ask::kDigest, [](Line& line, const Request&) { answer(line, Bytes(33)); });
  EXPECT_EQ(told(Ask::kDigest, [](Line& line, const Request&) { answer(line, Bytes(32)); }), kDamaged);
}

TEST_F(ForeignSegmentLies, AboutTheDatasets) {
  const auto listing = [&](const Bytes& list) {
    expect_impossible(Ask::kIndex, [&](Line& line, const Request&) { answer(line, list); });
  };
  const auto i32 = static_cast<std::uint8_t>(DType::kI32);
  listing(Bytes(1));
  listing(listed("a", i32, {10}));
  listing(listed("/../a", i32, {10}));
  listing(listed("/a\n", i32, {10}));
  listing(listed("/a", 200, {10}));
  listing(listed("/a", i32, {-1}));
  listing(listed("/a", i32, {std::int64_t{1} << 40, std::int64_t{1} << 40}));
  listing(listed("/a", i32, Shape(9, 1)));
  const std::uint64_t size = fs::file_size(scratch_ / "s.h5");
  for (const std::uint64_t at : {size - 39, size, size + 1, ~std::uint64_t{0}, ~std::uint64_t{0} - 39})
    listing(listed("/a", i32, {10}, at));
  Bytes twice = listed("/a", i32, {10});
  twice.insert(twice.end(), twice.begin(), twice.end());
  listing(twice);
  Bytes torn = listed("/a", i32, {10});
  torn.pop_back();
  listing(torn);
  expect_impossible(Ask::kIndex, [](Line& line, const Request&) {
    answer(line, Outcome::kDone, {}, std::uint64_t{1} << 60);  // no memory is taken for it
  });
}

TEST_F(ForeignSegmentLies, AboutWhereElementsLie) {
  // Bytes of the file, if not the right ones: as wrong as the file itself could be.
  const auto i32 = static_cast<std::uint8_t>(DType::kI32);
  const std::string whole = read_file(scratch_ / "s.h5", 1 << 20);
  for (const std::uint64_t at : {std::size_t{1}, std::size_t{17}, whole.size() - 40})
    EXPECT_EQ(
        told(Ask::kIndex, [&](Line& line, const Request&) { answer(line, listed("/a", i32, {10}, at)); }),
        "read " + to_hex(as_bytes(std::string_view(whole).substr(at, 40))));
}

TEST_F(ForeignSegmentLies, AboutElements) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{44}, ~std::uint64_t{0}})
    expect_impossible(Ask::kRead,
                      [&](Line& line, const Request&) { answer(line, Outcome::kDone, {}, size); });
  // Wrong ones are what a file may hold too: whoever uses them compares their digest.
  EXPECT_EQ(told(Ask::kRead,
                 [](Line& line, const Request&) {
                   std::memset(line.window().data(), 9, 8);
                   answer(line, Outcome::kDone, {}, 8);
                 }),
            "read " + to_hex(Bytes(40, std::byte{9})));
}

TEST_F(ForeignSegmentLies, AboutWhatWentWrong) {
  const auto says = [&](Outcome outcome, const std::string& text) {
    return told(Ask::kRead,
                [&](Line& line, const Request&) { answer(line, outcome, as_bytes(text), text.size()); });
  };
  EXPECT_EQ(says(Outcome::kEvidence, "chunk 3: zstd"), "chunk 3: zstd");
  EXPECT_EQ(says(Outcome::kEvidence, "a\x1b[2Jb\nc").find('\x1b'), std::string::npos);
  EXPECT_EQ(says(Outcome::kEvidence, std::string(100'000, 'x')),
            "the process that reads it gave an answer that it cannot");
  EXPECT_EQ(says(static_cast<Outcome>(7), "x"), "the process that reads it gave an answer that it cannot");
  // A verdict is not put off by a claim that the machine is at fault.
  EXPECT_EQ(says(Outcome::kSystem, "read: Input/output error"),
            "the process that reads it reports a read error that there is not");
}

TEST_F(ForeignSegmentLies, BySilenceOrDeath) {
  EXPECT_EQ(told(Ask::kIndex, [](Line&, const Request&) {}),
            "the process that reads it gave no answer in 2 seconds");
  // One byte a while is no answer.
  EXPECT_EQ(told(Ask::kIndex,
                 [](Line& line, const Request&) {
                   const Answer head{Outcome::kDone, 0, 1 << 20};
                   line.send(std::as_bytes(std::span(&head, 1)));
                   for (int i = 0; i < 100; ++i) {
                     const auto begin = std::chrono::steady_clock::now();
                     while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(100)) {
                     }
                     line.send(Bytes(1));
                   }
                 }),
            "the process that reads it gave no answer in 2 seconds");
  EXPECT_EQ(told(Ask::kRead, [](Line&, const Request&) { ::syscall(SYS_exit_group, 0); }),
            "the process that reads it ended before it had answered");
}

}  // namespace
}  // namespace aftune::trace
