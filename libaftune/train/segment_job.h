#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/rows.h"
#include "trace/layout.h"
#include "trace/log.h"
#include "trace/segment.h"
#include "train/snapshot.h"
#include "train/step_digests.h"

namespace aftune::train {

/// What one segment still has to be given: owned copies, made by the thread that trains.
struct SegmentJob {
  struct Dataset {
    std::string path;
    DType dtype;
    Shape shape;
    Bytes bytes;
    trace::Packing packing;
  };
  std::int64_t segment = 0;
  trace::Packing floats = trace::Packing::kRaw;
  std::vector<Dataset> datasets;
  std::shared_ptr<Snapshot> snapshot;
  bool last = false;  ///< then the segment is complete

  SegmentJob(std::int64_t index, bool compress);
  /// Adds a step's layout, tokens or pixels, labels, and the boundaries that were kept.
  void add_step(std::int64_t step, const std::vector<std::int32_t>& layout, const data::Rows& rows,
                StepDigests& digests);
  /// Hands over what is there, to be written while the step block goes on.
  SegmentJob take();

 private:
  void add_ints(std::int64_t step, const char* what, const std::vector<std::int32_t>& values);
  void add_pixels(std::int64_t step, const data::Rows& rows);
};

/// Writes segments and leaves, in order: a segment is whole and durable before any of its leaves is in the
/// log. Creates nothing before the first write, which also removes what a killed writer left aside.
class SegmentFiles {
 public:
  explicit SegmentFiles(trace::Layout layout) : layout_(std::move(layout)) {}
  /// `job` may be null. `leaves` go to the log at the end.
  void write(const SegmentJob* job, const std::vector<std::string>& leaves);

 private:
  void remove_leftovers();

  trace::Layout layout_;
  bool cleaned_ = false;
  std::optional<trace::SegmentWriter> open_;
  std::optional<trace::LogWriter> log_;
};

}  // namespace aftune::train
