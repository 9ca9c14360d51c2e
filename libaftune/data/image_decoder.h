#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/locked_child.h"

namespace aftune::data {

/// Decodes image files in a process of its own that can do nothing else (docs/architecture.md, "Foreign
/// files"). Whatever a file does to that process, its pixels, or that they are not to be had, is all that
/// comes of it. Not thread-safe.
class ImageDecoder {
 public:
  /// Of files for images of size x size pixels, RGB. Throws Error{kSystem} if there can be no such process.
  explicit ImageDecoder(std::int64_t size);
  ~ImageDecoder();

  /// The pixels, by channel and then by row; 3 * size * size bytes. Throws Error{kUsage} that says why there
  /// are none.
  Bytes decode(std::string_view file);

  /// Of a file; no image of a size that models take is longer.
  static constexpr std::uint64_t kMaxFileBytes = std::uint64_t{64} << 20;

 private:
  Bytes ask(std::string_view file);

  std::int64_t size_;
  std::unique_ptr<LockedChild> child_;
};

}  // namespace aftune::data
