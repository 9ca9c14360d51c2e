#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace aftune {

namespace fs = std::filesystem;

enum class Links {
  kFollow,  ///< the user's own inputs: a model hub's cache is made of links
  kRefuse,  ///< files inside a trace: a link there could lead anywhere
};

/// The whole file, read once. Throws Error{kUsage} if it is absent or not a regular file, {kSystem} on a read
/// error, {kEvidence} if it is larger than max_bytes.
std::string read_file(const fs::path& path, std::uint64_t max_bytes, Links links = Links::kFollow);

/// Bytes [from, to) of the file, fewer if it ends before `to`. Throws as read_file does.
std::string read_part(const fs::path& path, std::uint64_t from, std::uint64_t to,
                      Links links = Links::kFollow);

/// A file that appears under its name whole or not at all: written aside, fsynced, renamed, folder fsynced.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path, unsigned mode = 0644);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();  ///< removes what was written if commit() was not reached

  void write(ByteView bytes);
  void write(std::string_view text) { write(as_bytes(text)); }
  /// Makes the file visible and durable. Throws Error{kSystem}.
  void commit();
  /// The name that is written to until commit(), for libraries that open by name.
  const fs::path& temporary() const { return temporary_; }

 private:
  fs::path path_;
  fs::path temporary_;
  int fd_ = -1;
};

void write_file(const fs::path& path, std::string_view text, unsigned mode = 0644);
void sync_file(const fs::path& path);
void sync_directory(const fs::path& path);

/// A read-only mapping of a whole file, for large tensors. Throws as read_file does.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path, Links links = Links::kFollow);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();
  ByteView bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Holds an advisory lock on `path` (created if absent) for its lifetime. When another process holds it,
/// waits, or throws Error{kUsage} "in use".
class FileLock {
 public:
  enum class Busy { kRefuse, kWait };
  explicit FileLock(const fs::path& path, Busy busy = Busy::kRefuse);
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock();

 private:
  int fd_ = -1;
};

}  // namespace aftune
