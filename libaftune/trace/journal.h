#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "record/serving.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune::trace {

/// What answers were, in files journal-NNNNNN.jsonl: line k over all of them belongs to leaf k + 1 of the
/// log. Only who holds the trace has them; the log has salted digests.
class JournalWriter {
 public:
  /// Continues a journal whose log has `leaves` leaves: later lines belong to answers that were never logged
  /// and are cut. A file of `roll_bytes` or more is not written to again. Throws Error{kUsage} if lines are
  /// missing.
  JournalWriter(const Layout& layout, std::int64_t leaves, std::uint64_t roll_bytes);
  /// Durable when it returns. If it fails, what was there before stays as it was.
  void append(const std::vector<std::string>& lines);

 private:
  void open(std::int64_t number);

  Layout layout_;
  std::uint64_t roll_bytes_;
  std::int64_t number_ = 0;
  std::unique_ptr<LogWriter> file_;
};

/// The journal of a trace that is read.
class Journal {
 public:
  /// Of a trace without one, it is empty. Throws Error{kEvidence} if a file is missing between others.
  explicit Journal(const Layout& layout);
  /// The number of whole lines.
  std::int64_t size() const;
  /// Of all files.
  std::uint64_t bytes() const;
  /// What the answer in `leaf` >= 1 was. Throws Error{kEvidence} if the journal has no such line, or another.
  record::Exchange read(std::int64_t leaf) const;

 private:
  struct File {
    MappedFile bytes;
    std::vector<std::size_t> starts;  // of whole lines, and the end of the last
  };
  std::vector<File> files_;
};

}  // namespace aftune::trace
