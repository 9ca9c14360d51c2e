#include "trace/segment_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "hash/blake3.h"
#include "trace/chunking.h"

namespace aftune::trace {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 20;

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

void decode(const SegmentFile& file, ChunkCodec& codec, const Extent& extent, std::span<std::byte> out) {
  // An incompressible chunk grows by less than this; a larger frame is not one that zstd made of it.
  if (extent.size > static_cast<std::uint64_t>(kMaxChunkBytes) * 2)
    fail(Fault::kEvidence, "larger than it can be");
  Bytes frame(static_cast<std::size_t>(extent.size));
  file.read_at(extent.offset, frame);
  codec.decode(frame, out);
}

}  // namespace

void SegmentFile::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(Fault::kSystem, "read: ", std::strerror(errno));
    if (got == 0) fail(Fault::kEvidence, "became shorter while it was read");
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

Digest SegmentFile::digest() const {
  Bytes piece(kPiece);
  hash::Blake3 hash;
  for (std::uint64_t at = kUserBlock; at < size; at += kPiece) {
    const auto part =
        std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, size - at)));
    read_at(at, part);
    hash.update(part);
  }
  return hash.finish();
}

Digest SegmentFile::stated_digest() const {
  Bytes block(kUserBlock);
  read_at(0, block);
  return parse_user_block(block);
}

std::vector<DatasetEntry> SegmentFile::index() const {
  std::byte raw[sizeof(std::uint64_t)];
  read_at(size - sizeof(raw), raw);
  const auto length = load_le<std::uint64_t>(raw);
  const std::uint64_t room = size - kUserBlock - sizeof(raw);
  if (length > room || length > kMaxIndexBytes) fail(Fault::kEvidence, "index: larger than it can be");
  const std::uint64_t begin = size - sizeof(raw) - length;
  Bytes text(static_cast<std::size_t>(length));
  read_at(begin, text);
  return within("index", [&] { return index_from_text(as_text(text), begin); });
}

std::size_t SegmentFile::read(const DatasetEntry& entry, std::int64_t first, std::uint64_t wanted,
                              std::span<std::byte> out) const {
  const std::size_t element = size_of(entry.dtype);
  if (entry.chunk.empty()) {
    read_at(entry.extents[0].offset + static_cast<std::uint64_t>(first) * element, out);
    return out.size();
  }
  const Chunking chunking = Chunking::checked(entry.shape, element, entry.chunk);
  std::int64_t end = first + static_cast<std::int64_t>(out.size() / element);
  if (out.size() < wanted) end = std::max(chunking.run(chunking.chunk_of(end)).first, first);
  ChunkCodec codec(chunking.elements(), element);
  Bytes plain;
  for (std::int64_t at = first; at < end;) {
    const std::int64_t c = chunking.chunk_of(at);
    const Chunking::Run run = chunking.run(c);
    const std::int64_t to = std::min(run.first + run.length, end);
    plain.resize(static_cast<std::size_t>(to - run.first) * element);
    within(cat("chunk ", c),
           [&] { decode(*this, codec, entry.extents[static_cast<std::size_t>(c)], plain); });
    std::copy(plain.begin() + static_cast<std::ptrdiff_t>(at - run.first) * element, plain.end(),
              out.begin() + static_cast<std::ptrdiff_t>(at - first) * element);
    at = to;
  }
  return static_cast<std::size_t>(end - first) * element;
}

OpenedSegment::OpenedSegment(const fs::path& path) {
  // O_NONBLOCK: a FIFO under the name must not hang the open.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    const bool theirs = errno == ENOENT || errno == ELOOP || errno == ENOTDIR;
    fail(theirs ? Fault::kEvidence : Fault::kSystem, "open: ", std::strerror(errno));
  }
  try {
    struct stat info {};
    if (::fstat(fd, &info) != 0) fail(Fault::kSystem, "stat: ", std::strerror(errno));
    if (!S_ISREG(info.st_mode)) fail(Fault::kEvidence, "not a regular file");
    file_ = {fd, static_cast<std::uint64_t>(info.st_size)};
    if (file_.size < kUserBlock + sizeof(std::uint64_t)) fail(Fault::kEvidence, "too short for a segment");
  } catch (...) {
    ::close(fd);
    throw;
  }
}

OpenedSegment::~OpenedSegment() {
  ::close(file_.fd);
}

}  // namespace aftune::trace
