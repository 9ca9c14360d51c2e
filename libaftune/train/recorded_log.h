#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "record/leaves.h"
#include "seal/note.h"
#include "trace/layout.h"
#include "trace/log.h"

namespace aftune::train {

/// What a trace already holds when a run is resumed: its leaves, with which every leaf made again must agree.
class RecordedLog {
 public:
  /// Reads the log, or nothing if there is none, and refuses (Error{kUsage}) one that does not extend
  /// ./checkpoint, or a ./checkpoint of another run or without a signature by the one it names. Changes
  /// nothing on disk.
  explicit RecordedLog(const trace::Layout& layout);

  std::int64_t size() const { return static_cast<std::int64_t>(log_.leaves.size()); }
  bool has(std::int64_t index) const { return index < size(); }
  const std::string& leaf(std::int64_t index) const {
    return log_.leaves.at(static_cast<std::size_t>(index));
  }
  /// True if the leaf is there and equal, false if it is not there yet. Throws Error{kUsage}, naming the
  /// members that differ, if it is another one.
  bool confirms(std::int64_t index, const std::string& leaf) const;

 private:
  void check_extends(const fs::path& checkpoint) const;
  void check_origin(const seal::Note& note, const std::string& origin) const;

  fs::path path_;
  trace::Log log_;
};

/// The manifest of a trace, if it has one: a resumed run takes its run id and creation time from it.
std::optional<record::Manifest> recorded_manifest(const fs::path& trace);

}  // namespace aftune::train
