#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "hash/merkle.h"

namespace aftune::trace {

/// The lines of log.jsonl as they are on disk. Whether they are canonical and in place is the reader's
/// business (record::parse_*, audit); this only splits and refuses what is not a list of lines.
struct Log {
  std::vector<std::string> leaves;
  bool torn = false;  ///< the last line had no LF and was left out

  /// Throws Error{kUsage} if absent, Error{kEvidence} on an empty line, CR, BOM, NUL or a line of 64 KiB or
  /// more.
  static Log read(const fs::path& path);
  /// As read(), of the lines after the first `lines`, which are `bytes` long and are not looked at.
  static Log read_after(const fs::path& path, std::uint64_t bytes, std::uint64_t lines);
  hash::MerkleTree tree() const;
};

/// The line whose LF is the last of the file's first `bytes` bytes, without it; nullopt if no line ends
/// there.
std::optional<std::string> line_ending_at(const fs::path& path, std::uint64_t bytes);
/// The first line without its LF; nullopt if no line is whole. Throws as Log::read does.
std::optional<std::string> first_line(const fs::path& path);

/// The longest line of a log, without LF.
inline constexpr std::size_t kMaxLineBytes = 65535;

/// Appends lines to log.jsonl or to a journal; a line is in the file once append() has returned (written and
/// fsynced).
class LogWriter {
 public:
  /// Creates the file, or opens it and cuts a torn last line.
  explicit LogWriter(const fs::path& path, std::size_t max_line = kMaxLineBytes);
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  ~LogWriter();
  /// All of them in one write. If it fails, what was there before stays as it was.
  void append(const std::vector<std::string>& leaves);
  /// Of the whole lines.
  std::uint64_t size() const { return static_cast<std::uint64_t>(size_); }
  /// Leaves only the first `size` bytes, which end with a line.
  void cut(std::uint64_t size);

 private:
  fs::path path_;
  std::size_t max_line_;
  int fd_ = -1;
  off_t size_ = 0;  // of the whole lines
};

}  // namespace aftune::trace
