#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "tensor/tensor.h"
#include "trace/segment.h"

namespace aftune::trace {

/// What the index says of a dataset, without where it lies.
struct Dataset {
  std::string path;
  DType dtype = DType::kF32;
  Shape shape;
  std::uint64_t stored = 0;  ///< bytes that it takes in the file
};

/// The datasets of a segment, behind SegmentReader: parsed in this process or in another.
class SegmentContent {
 public:
  virtual ~SegmentContent() = default;
  /// BLAKE3 of all bytes after the user block, which were read for it.
  const Digest& digest() const {
    AFTUNE_CHECK(digest_.has_value());
    return *digest_;
  }
  const std::vector<Dataset>& datasets() const { return datasets_; }  ///< sorted by path
  /// Puts elements of a dataset, from `first` on, at the beginning of `out`: at least one, and as many as is
  /// convenient if `wanted` in all, in bytes. Returns the bytes put.
  virtual std::size_t read(std::size_t dataset, std::int64_t first, std::uint64_t wanted,
                           std::span<std::byte> out) const = 0;

 protected:
  std::optional<Digest> digest_;
  std::vector<Dataset> datasets_;
};

/// `out` of SegmentContent::read, where more is wanted, has room for two chunks.
inline constexpr std::size_t kReadPiece = std::size_t{2} << 20;

inline constexpr const char* kDamaged = "damaged: its bytes do not have the digest it states";

/// Both throw as SegmentReader does.
std::unique_ptr<SegmentContent> own_segment(const fs::path& path, Scan scan);
std::unique_ptr<SegmentContent> foreign_segment(const fs::path& path, Scan scan);

}  // namespace aftune::trace
