#pragma once

#include <sys/types.h>

#include <cstdint>
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
  hash::MerkleTree tree() const;
};

/// Appends lines to log.jsonl; a line is in the log once append() has returned (written and fsynced).
class LogWriter {
 public:
  /// Creates the file, or opens it and cuts a torn last line.
  explicit LogWriter(const fs::path& path);
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;
  ~LogWriter();
  /// All of them in one write. If it fails, what was there before stays as it was.
  void append(const std::vector<std::string>& leaves);

 private:
  void cut();  // to size_

  fs::path path_;
  int fd_ = -1;
  off_t size_ = 0;  // of the whole lines
};

}  // namespace aftune::trace
