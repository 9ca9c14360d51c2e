#include "audit/trace_source.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "model/layer_block.h"
#include "optim/optimizer.h"

namespace aftune::audit {
namespace {

constexpr std::size_t kOpenSegments = 8;

// The dataset paths that segment `index` may hold.
std::set<std::string> known_datasets(const LogView& log, std::int64_t index) {
  const record::Grid& grid = log.grid();
  std::set<std::string> known;
  for (const TensorSpec& spec : log.tensors()) {
    known.insert(trace::state_dataset(spec.name));
    for (const std::string& moment : optim::moment_names(log.manifest().recipe))
      known.insert(trace::state_dataset(spec.name + "." + moment));
  }
  if (index == 0) return known;
  for (std::int64_t t = grid.step_begin(index - 1); t < grid.step_end(index - 1); ++t) {
    for (const char* what : {"layout", log.config().images ? "pixels" : "tokens", "labels"})
      known.insert(trace::step_dataset(t, what));
    for (int b = 0; b < grid.boundaries(); ++b) {
      known.insert(trace::activation_dataset(t, b));
      known.insert(trace::gradient_dataset(t, b));
    }
  }
  return known;
}

bool is_there(const fs::path& path) {
  std::error_code code;
  return fs::exists(fs::symlink_status(path, code));
}

}  // namespace

TraceSource::TraceSource(trace::Layout layout, const LogView& log, trace::Origin origin, trace::Scan scan)
    : layout_(std::move(layout)), log_(log), origin_(origin), scan_(scan) {}

std::string TraceSource::file_name(std::int64_t index) const {
  return layout_.segment(index).filename().native();
}

void TraceSource::check_entries(const trace::SegmentReader& reader, std::int64_t index) const {
  const std::set<std::string> known = known_datasets(log_, index);
  for (const auto& entry : reader.entries())
    if (known.count(entry.path) == 0)
      throw Rejection(Code::kFormat, cat(file_name(index), " ", entry.path),
                      "no dataset that this segment may hold");
}

trace::SegmentReader TraceSource::open(std::int64_t index) const {
  const fs::path path = layout_.segment(index);
  if (!is_there(path)) throw Rejection(Code::kAbsent, file_name(index), "the file is not there");
  try {
    trace::SegmentReader reader(path, origin_, scan_);
    check_entries(reader, index);
    return reader;
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    throw Rejection(Code::kFormat, file_name(index), e.what());
  }
}

std::shared_ptr<const trace::SegmentReader> TraceSource::segment(std::int64_t index) {
  const std::lock_guard lock(mutex_);
  if (const auto refused = refused_.find(index); refused != refused_.end()) throw refused->second;
  const auto found =
      std::find_if(open_.begin(), open_.end(), [&](const auto& entry) { return entry.first == index; });
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
    return open_.front().second;
  }
  try {
    open_.emplace_front(index, std::make_shared<const trace::SegmentReader>(open(index)));
  } catch (const Rejection& rejection) {
    refused_.emplace(index, rejection);
    throw;
  }
  if (open_.size() > kOpenSegments) open_.pop_back();
  return open_.front().second;
}

bool TraceSource::has_state(std::int64_t s) {
  const auto reader = segment(trace::Layout::segment_of_state(s));
  return std::any_of(log_.tensors().begin(), log_.tensors().end(),
                     [&](const TensorSpec& spec) { return reader->has(trace::state_dataset(spec.name)); });
}

bool TraceSource::has_boundaries(std::int64_t s) {
  const std::int64_t t = log_.grid().step_begin(s);
  const auto reader = segment(trace::Layout::segment_of_step(log_.grid(), t));
  for (int b = 0; b < log_.grid().boundaries(); ++b)
    if (reader->has(trace::activation_dataset(t, b)) || reader->has(trace::gradient_dataset(t, b)))
      return true;
  return false;
}

template <class Body>
auto TraceSource::reading(std::int64_t index, const std::string& dataset, const Body& body) {
  const auto reader = segment(index);
  const std::string where = cat(file_name(index), " ", dataset);
  if (!reader->has(dataset)) throw Rejection(Code::kAbsent, where, "the dataset is not there");
  try {
    return body(*reader);
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    throw Rejection(Code::kFormat, where, e.what());
  }
}

void TraceSource::read_state(std::int64_t s, const TensorSpec& spec, std::int64_t first,
                             std::span<std::byte> out) {
  const std::string path = trace::state_dataset(spec.name);
  reading(trace::Layout::segment_of_state(s), path, [&](const trace::SegmentReader& reader) {
    reader.read_part(path, spec.dtype, spec.shape, first, out);
    return 0;
  });
}

std::string TraceSource::dataset(Side side, std::int64_t t, int boundary) const {
  return side == Side::kActivation ? trace::activation_dataset(t, boundary)
                                   : trace::gradient_dataset(t, boundary);
}

void TraceSource::read_boundary(Side side, std::int64_t t, int boundary, std::int64_t tokens,
                                std::int64_t first, Matrix& out) {
  const std::string path = dataset(side, t, boundary);
  reading(trace::Layout::segment_of_step(log_.grid(), t), path, [&](const trace::SegmentReader& reader) {
    reader.read_rows(path, DType::kF32, {tokens, out.cols}, first, out.rows, out.values.mutable_bytes());
    return 0;
  });
}

std::vector<std::int32_t> TraceSource::read_ints(std::int64_t t, const std::string& what,
                                                 std::int64_t max_count) {
  const std::string path = trace::step_dataset(t, what);
  return reading(trace::Layout::segment_of_step(log_.grid(), t), path,
                 [&](const trace::SegmentReader& reader) { return reader.read_ints(path, max_count); });
}

void TraceSource::read_pixels(std::int64_t t, Matrix& out) {
  const std::string path = trace::step_dataset(t, "pixels");
  reading(trace::Layout::segment_of_step(log_.grid(), t), path, [&](const trace::SegmentReader& reader) {
    reader.read(path, DType::kF32, {out.rows, out.cols}, out.values.mutable_bytes());
    return 0;
  });
}

std::string TraceSource::state_name(std::int64_t s, const std::string& tensor) {
  return cat(file_name(trace::Layout::segment_of_state(s)), " ", trace::state_dataset(tensor));
}

std::string TraceSource::boundary_name(Side side, std::int64_t t, int boundary) {
  return cat(file_name(trace::Layout::segment_of_step(log_.grid(), t)), " ", dataset(side, t, boundary));
}

std::string TraceSource::ints_name(std::int64_t t, const std::string& what) {
  return cat(file_name(trace::Layout::segment_of_step(log_.grid(), t)), " ", trace::step_dataset(t, what));
}

}  // namespace aftune::audit
