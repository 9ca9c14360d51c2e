#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "base/bytes.h"
#include "base/files.h"

namespace aftune::trace {

/// A regular file that is there already, written at any place. The whole pages of a large write go past the
/// system's page cache where the file system allows it: nobody will soon read a snapshot, and filling the
/// cache with it costs more processor time than everything else about it. Throws Error{kSystem}.
class DirectFile {
 public:
  explicit DirectFile(const fs::path& path);
  DirectFile(const DirectFile&) = delete;
  DirectFile& operator=(const DirectFile&) = delete;
  ~DirectFile();

  void write(std::uint64_t offset, ByteView bytes);
  /// Returns how much there was.
  std::size_t read(std::uint64_t offset, std::span<std::byte> out) const;
  std::uint64_t size() const;

 private:
  /// Writes whole pages from a page's start on. Returns how many bytes it wrote before the file system
  /// refused such writes, after which it is not called again.
  std::size_t write_pages(std::uint64_t offset, ByteView pages);

  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  int fd_;
  int direct_;                               ///< the same file past the cache; -1 if it cannot be
  std::unique_ptr<std::byte, Free> buffer_;  ///< such writes are made from whole pages of memory too
};

}  // namespace aftune::trace
