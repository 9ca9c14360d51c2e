#pragma once

#include <mutex>

#include "base/locked_child.h"
#include "trace/segment_content.h"
#include "trace/segment_file.h"

namespace aftune::trace {

/// A segment that somebody else wrote. All that depends on what its bytes mean (user block, index, chunk
/// frames, zstd) is done in a LockedChild; this process opens the file, hashes it, copies decoded elements
/// and reads those that lie in the file as they are.
/// What the child says is held to the bounds that the caller expects, so a child that was taken over can give
/// wrong elements, as the file itself could, and nothing else.
///
/// May be read from several threads; what has to be decoded, one at a time.
class ForeignSegment : public SegmentContent {
 public:
  using Child = std::function<void(LockedChild::Line&)>;

  /// Throws Error{kEvidence}, also when the child dies or answers what it cannot.
  ForeignSegment(const fs::path& path, Scan scan);
  /// With another child and its limits, for tests of what a child might do.
  ForeignSegment(const fs::path& path, const LockedChild::Limits& limits, const Child& child,
                 Scan scan = Scan::kWhole);

  std::size_t read(std::size_t dataset, std::int64_t first, std::uint64_t wanted,
                   std::span<std::byte> out) const override;

  /// Of the child, in bytes beyond what this process has: the largest index as text and as values, and two
  /// chunks.
  static constexpr std::uint64_t kMemory = std::uint64_t{384} << 20;

  // What passes between the two, in their own byte order: a request and an answer, after which come as many
  // bytes as it says, through the socket or, of a dataset, in the window.
  enum class Ask : std::uint32_t { kDigest, kIndex, kRead };
  struct Request {
    Ask ask{};
    std::uint32_t dataset = 0;
    std::int64_t first = 0;
    std::uint64_t wanted = 0;
  };
  enum class Outcome : std::uint32_t { kDone, kEvidence, kSystem };
  struct Answer {
    Outcome outcome{};
    std::uint32_t reserved = 0;
    std::uint64_t size = 0;  // of what follows: the answer, or the text of the error
  };

 private:
  std::uint64_t ask(const Request& request, std::uint64_t most) const;
  [[noreturn]] void rethrow(const Answer& answer) const;
  Bytes receive(std::uint64_t size) const;
  void take_datasets(ByteView list);

  OpenedSegment opened_;
  std::vector<std::uint64_t> places_;  // of each dataset's elements, where they are not decoded; else 0
  mutable std::mutex mutex_;
  mutable LockedChild child_;
};

/// What the child of a ForeignSegment does with a file of this size.
void serve_segment(LockedChild::Line& line, std::uint64_t size);

}  // namespace aftune::trace
