#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "hash/blake3.h"
#include "trace/chunking.h"
#include "trace/segment.h"
#include "trace/segment_index.h"

namespace aftune::trace {

struct SegmentReader::State {
  fs::path path;
  int fd = -1;
  std::uint64_t size = 0;
  Digest digest;
  std::vector<DatasetEntry> entries;

  explicit State(const fs::path& p) : path(p) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (fd >= 0) ::close(fd);
  }
  void open();
  void read_at(std::uint64_t offset, std::span<std::byte> out) const;
  void check_digest();
  void read_index();
  const DatasetEntry* find(const std::string& dataset) const;
  const DatasetEntry& expect(const std::string& dataset) const;
  const DatasetEntry& expect(const std::string& dataset, DType dtype, const Shape& shape) const;
  const DatasetEntry& expect_list(const std::string& dataset, DType dtype, std::int64_t max_count) const;
  void read(const DatasetEntry& entry, std::int64_t first, std::span<std::byte> out) const;
  Digest hash(const DatasetEntry& entry) const;
  void check_inflation(const DatasetEntry& entry) const;
  void decode(ChunkCodec& codec, const Extent& extent, std::span<std::byte> out) const;
};

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr std::uint64_t kFreeBytes = std::uint64_t{16} << 20;
constexpr std::uint64_t kMaxRatio = 1024;

// "aftune-segment/1\n<64 hex>\n" and zeros, and nothing else.
Digest parse_user_block(ByteView block) {
  const std::string_view text = as_text(block);
  const std::size_t hex = kSegmentMagic.size();
  if (text.substr(0, hex) != kSegmentMagic || text[hex + 64] != '\n')
    fail(Fault::kEvidence, "not a segment of this version");
  if (text.find_first_not_of('\0', hex + 65) != text.npos)
    fail(Fault::kEvidence, "the user block holds more than it should");
  return digest_from_hex(text.substr(hex, 64));
}

}  // namespace

void SegmentReader::State::open() {
  // O_NONBLOCK: a FIFO under the name must not hang the open.
  fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    const bool theirs = errno == ENOENT || errno == ELOOP || errno == ENOTDIR;
    fail(theirs ? Fault::kEvidence : Fault::kSystem, "open: ", std::strerror(errno));
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail(Fault::kSystem, "stat: ", std::strerror(errno));
  if (!S_ISREG(info.st_mode)) fail(Fault::kEvidence, "not a regular file");
  size = static_cast<std::uint64_t>(info.st_size);
  if (size < kUserBlock + sizeof(std::uint64_t)) fail(Fault::kEvidence, "too short for a segment");
}

void SegmentReader::State::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(Fault::kSystem, "read: ", std::strerror(errno));
    if (got == 0) fail(Fault::kEvidence, "became shorter while it was read");
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

void SegmentReader::State::check_digest() {
  Bytes piece(kPiece);
  read_at(0, std::span(piece).first(kUserBlock));
  digest = parse_user_block(std::span(piece).first(kUserBlock));
  hash::Blake3 hash;
  for (std::uint64_t at = kUserBlock; at < size; at += kPiece) {
    const auto part =
        std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, size - at)));
    read_at(at, part);
    hash.update(part);
  }
  if (hash.finish() != digest) fail(Fault::kEvidence, "damaged: its bytes do not have the digest it states");
}

void SegmentReader::State::read_index() {
  std::byte raw[sizeof(std::uint64_t)];
  read_at(size - sizeof(raw), raw);
  const auto length = load_le<std::uint64_t>(raw);
  const std::uint64_t room = size - kUserBlock - sizeof(raw);
  if (length > room || length > kMaxIndexBytes) fail(Fault::kEvidence, "index: larger than it can be");
  const std::uint64_t begin = size - sizeof(raw) - length;
  Bytes text(static_cast<std::size_t>(length));
  read_at(begin, text);
  within("index", [&] { entries = index_from_text(as_text(text), begin); });
}

const DatasetEntry* SegmentReader::State::find(const std::string& dataset) const {
  const auto at = std::lower_bound(entries.begin(), entries.end(), dataset,
                                   [](const DatasetEntry& e, const std::string& p) { return e.path < p; });
  return at == entries.end() || at->path != dataset ? nullptr : &*at;
}

const DatasetEntry& SegmentReader::State::expect(const std::string& dataset) const {
  const DatasetEntry* entry = find(dataset);
  if (entry == nullptr) fail(Fault::kEvidence, "absent");
  return *entry;
}

const DatasetEntry& SegmentReader::State::expect(const std::string& dataset, DType dtype,
                                                 const Shape& shape) const {
  const DatasetEntry& entry = expect(dataset);
  if (entry.dtype != dtype || entry.shape != shape)
    fail(Fault::kEvidence, "expected ", describe({dataset, dtype, shape}), ", found ",
         describe({dataset, entry.dtype, entry.shape}));
  return entry;
}

const DatasetEntry& SegmentReader::State::expect_list(const std::string& dataset, DType dtype,
                                                      std::int64_t max_count) const {
  const DatasetEntry& entry = expect(dataset);
  if (entry.dtype != dtype || entry.shape.size() != 1 || entry.shape[0] > max_count)
    fail(Fault::kEvidence, "expected at most ", max_count, " ", name(dtype), ", found ",
         describe({dataset, entry.dtype, entry.shape}));
  check_inflation(entry);
  return entry;
}

// Where only the file says how large a dataset is, the work it makes is bounded by the bytes that it has.
void SegmentReader::State::check_inflation(const DatasetEntry& entry) const {
  std::uint64_t stored = 0;
  for (const Extent& extent : entry.extents) stored += extent.size;
  const std::uint64_t plain = byte_size({entry.path, entry.dtype, entry.shape});
  if (plain > kFreeBytes && plain / kMaxRatio > stored)
    fail(Fault::kEvidence, plain, " bytes, stored in ", stored);
}

// Elements from `first` on, as many as fill `out`.
void SegmentReader::State::read(const DatasetEntry& entry, std::int64_t first,
                                std::span<std::byte> out) const {
  const std::size_t element = size_of(entry.dtype);
  if (entry.chunk.empty())
    return read_at(entry.extents[0].offset + static_cast<std::uint64_t>(first) * element, out);
  const Chunking chunking = Chunking::checked(entry.shape, element, entry.chunk);
  ChunkCodec codec(chunking.elements(), element);
  const std::int64_t end = first + static_cast<std::int64_t>(out.size() / element);
  Bytes plain;
  for (std::int64_t c = 0; c < chunking.count(); ++c) {
    const Chunking::Run run = chunking.run(c);
    const std::int64_t from = std::max(run.first, first);
    const std::int64_t to = std::min(run.first + run.length, end);
    if (from >= to) continue;
    plain.resize(static_cast<std::size_t>(to - run.first) * element);
    within(cat("chunk ", c), [&] { decode(codec, entry.extents[static_cast<std::size_t>(c)], plain); });
    std::copy(plain.begin() + static_cast<std::ptrdiff_t>(from - run.first) * element, plain.end(),
              out.begin() + static_cast<std::ptrdiff_t>(from - first) * element);
  }
}

Digest SegmentReader::State::hash(const DatasetEntry& entry) const {
  check_inflation(entry);
  const std::size_t element = size_of(entry.dtype);
  hash::Blake3 blake;
  Bytes plain;
  if (entry.chunk.empty()) {
    const Extent& all = entry.extents[0];
    for (std::uint64_t at = 0; at < all.size; at += plain.size()) {
      plain.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, all.size - at)));
      read_at(all.offset + at, plain);
      blake.update(plain);
    }
    return blake.finish();
  }
  const Chunking chunking = Chunking::checked(entry.shape, element, entry.chunk);
  ChunkCodec codec(chunking.elements(), element);
  for (std::int64_t c = 0; c < chunking.count(); ++c) {
    plain.resize(static_cast<std::size_t>(chunking.run(c).length) * element);
    within(cat("chunk ", c), [&] { decode(codec, entry.extents[static_cast<std::size_t>(c)], plain); });
    blake.update(plain);
  }
  return blake.finish();
}

void SegmentReader::State::decode(ChunkCodec& codec, const Extent& extent, std::span<std::byte> out) const {
  // An incompressible chunk grows by less than this; a larger frame is not one that zstd made of it.
  if (extent.size > static_cast<std::uint64_t>(kMaxChunkBytes) * 2)
    fail(Fault::kEvidence, "larger than it can be");
  Bytes frame(static_cast<std::size_t>(extent.size));
  read_at(extent.offset, frame);
  codec.decode(frame, out);
}

SegmentReader::SegmentReader(const fs::path& path) : state_(std::make_unique<State>(path)) {
  within(path.native(), [&] {
    state_->open();
    state_->check_digest();
    state_->read_index();
  });
}

SegmentReader::SegmentReader(SegmentReader&&) noexcept = default;
SegmentReader::~SegmentReader() = default;

bool SegmentReader::has(const std::string& path) const {
  return state_->find(path) != nullptr;
}

void SegmentReader::read(const std::string& path, DType dtype, const Shape& shape,
                         std::span<std::byte> out) const {
  AFTUNE_CHECK(out.size() == byte_size({path, dtype, shape}));
  within(cat(state_->path.native(), ": ", path),
         [&] { state_->read(state_->expect(path, dtype, shape), 0, out); });
}

void SegmentReader::read_rows(const std::string& path, DType dtype, const Shape& shape, std::int64_t first,
                              std::int64_t rows, std::span<std::byte> out) const {
  AFTUNE_CHECK(shape.size() == 2 && first >= 0 && rows >= 0 && first + rows <= shape[0]);
  AFTUNE_CHECK(out.size() == byte_size({path, dtype, {rows, shape[1]}}));
  within(cat(state_->path.native(), ": ", path),
         [&] { state_->read(state_->expect(path, dtype, shape), first * shape[1], out); });
}

Bytes SegmentReader::read(const std::string& path, DType dtype, const Shape& shape) const {
  Bytes out(static_cast<std::size_t>(byte_size({path, dtype, shape})));
  read(path, dtype, shape, out);
  return out;
}

std::vector<std::int32_t> SegmentReader::read_ints(const std::string& path, std::int64_t max_count) const {
  return within(cat(state_->path.native(), ": ", path), [&] {
    const DatasetEntry& entry = state_->expect_list(path, DType::kI32, max_count);
    std::vector<std::int32_t> out(static_cast<std::size_t>(entry.shape[0]));
    state_->read(entry, 0, std::as_writable_bytes(std::span(out)));
    return out;
  });
}

std::string SegmentReader::read_text(const std::string& path, std::int64_t max_count) const {
  return within(cat(state_->path.native(), ": ", path), [&] {
    const DatasetEntry& entry = state_->expect_list(path, DType::kU8, max_count);
    std::string out(static_cast<std::size_t>(entry.shape[0]), '\0');
    state_->read(entry, 0, std::as_writable_bytes(std::span(out)));
    return out;
  });
}

Digest SegmentReader::hash(const std::string& path) const {
  return within(cat(state_->path.native(), ": ", path), [&] { return state_->hash(state_->expect(path)); });
}

const Digest& SegmentReader::digest() const {
  return state_->digest;
}

std::vector<SegmentReader::Entry> SegmentReader::entries() const {
  std::vector<Entry> out;
  for (const DatasetEntry& e : state_->entries) out.push_back({e.path, e.dtype, e.shape});
  return out;
}

}  // namespace aftune::trace
