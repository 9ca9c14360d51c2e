#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "trace/segment_index.h"

namespace aftune::trace {

/// The bytes of a segment file: a descriptor, which it does not own, and the size at the time it was opened.
struct SegmentFile {
  int fd = -1;
  std::uint64_t size = 0;

  /// Fills `out`. Throws Error{kEvidence} if the file ends before, {kSystem} on a read error.
  void read_at(std::uint64_t offset, std::span<std::byte> out) const;
  /// BLAKE3 of all bytes after the user block.
  Digest digest() const;
  /// What the user block says that is. Throws Error{kEvidence} unless it is a segment's.
  Digest stated_digest() const;
  std::vector<DatasetEntry> index() const;
  /// Elements of the dataset from `first` on, as many as fill `out`. Where more are `wanted`, in bytes, it
  /// stops before a chunk that would have to be decoded a second time; `out` must have room for two. Returns
  /// the bytes put into `out`.
  std::size_t read(const DatasetEntry& entry, std::int64_t first, std::uint64_t wanted,
                   std::span<std::byte> out) const;
};

/// Owns the descriptor. Opens without following links; throws Error{kEvidence} for what is no segment by its
/// kind or size.
class OpenedSegment {
 public:
  explicit OpenedSegment(const fs::path& path);
  OpenedSegment(const OpenedSegment&) = delete;
  OpenedSegment& operator=(const OpenedSegment&) = delete;
  ~OpenedSegment();
  const SegmentFile& file() const { return file_; }

 private:
  SegmentFile file_;
};

}  // namespace aftune::trace
