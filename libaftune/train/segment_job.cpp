#include "train/segment_job.h"

#include <utility>

#include "base/error.h"

namespace aftune::train {

SegmentJob::SegmentJob(std::int64_t index, bool compress)
    : segment(index), floats(compress ? trace::Packing::kZstd : trace::Packing::kRaw) {}

void SegmentJob::add_ints(std::int64_t step, const char* what, const std::vector<std::int32_t>& values) {
  const ByteView bytes = std::as_bytes(std::span(values));
  datasets.push_back({trace::step_dataset(step, what),
                      DType::kI32,
                      {static_cast<std::int64_t>(values.size())},
                      Bytes(bytes.begin(), bytes.end()),
                      trace::Packing::kZstd});
}

void SegmentJob::add_pixels(std::int64_t step, const data::Rows& rows) {
  const ByteView bytes = std::as_bytes(std::span(rows.pixels));
  const std::int64_t images = std::ssize(rows.doc_starts) - 1;
  datasets.push_back({trace::step_dataset(step, "pixels"),
                      DType::kF32,
                      {images, std::ssize(rows.pixels) / images},
                      Bytes(bytes.begin(), bytes.end()),
                      trace::Packing::kZstd});
}

void SegmentJob::add_step(std::int64_t step, const std::vector<std::int32_t>& layout, const data::Rows& rows,
                          StepDigests& digests) {
  add_ints(step, "layout", layout);
  if (rows.pixels.empty())
    add_ints(step, "tokens", rows.tokens);
  else
    add_pixels(step, rows);
  add_ints(step, "labels", rows.labels);
  const auto add_boundaries = [&](std::vector<StepDigests::Boundary>& list, auto&& path) {
    for (std::size_t b = 0; b < list.size(); ++b)
      if (!list[b].kept.empty())
        datasets.push_back({path(step, static_cast<int>(b)),
                            DType::kF32,
                            {list[b].rows, list[b].cols},
                            std::move(list[b].kept),
                            floats});
  };
  add_boundaries(digests.activations(), trace::activation_dataset);
  add_boundaries(digests.gradients(), trace::gradient_dataset);
}

SegmentJob SegmentJob::take() {
  SegmentJob part = std::move(*this);
  datasets.clear();
  snapshot.reset();
  return part;
}

void SegmentFiles::write(const SegmentJob* job, const std::vector<std::string>& leaves) {
  if (!cleaned_) remove_leftovers();
  if (job != nullptr) {
    if (!open_) open_.emplace(layout_.segment(job->segment));
    for (const SegmentJob::Dataset& d : job->datasets)
      open_->add(d.path, d.dtype, d.shape, d.bytes, d.packing);
    if (job->snapshot) job->snapshot->write(*open_, job->floats);
    if (job->last) {
      open_->commit();
      open_.reset();
    }
  }
  if (leaves.empty()) return;
  if (!log_) log_.emplace(layout_.log());
  log_->append(leaves);
}

void SegmentFiles::remove_leftovers() {
  cleaned_ = true;
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry& entry : fs::directory_iterator(layout_.root)) {
    const std::string name = entry.path().filename().native();
    if (name.find(".tmp.") != name.npos) leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) fs::remove(path);
}

}  // namespace aftune::train
