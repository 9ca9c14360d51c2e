#include "train/snapshot.h"

#include <algorithm>

#include "base/error.h"
#include "optim/optimizer.h"
#include "trace/layout.h"

namespace aftune::train {
namespace {

// Calls visit(spec, buffer) for each parameter and each of its moments.
template <class Visit>
void each_tensor(const Blocks& blocks, const record::Recipe& recipe, Visit&& visit) {
  const std::vector<std::string> moments = optim::moment_names(recipe);
  for (const auto& block : blocks)
    for (model::Parameter& p : block->parameters()) {
      visit(p.spec, p.value);
      AFTUNE_CHECK(p.moments.size() == moments.size());
      for (std::size_t i = 0; i < moments.size(); ++i)
        visit(TensorSpec{p.spec.name + "." + moments[i], DType::kF32, p.spec.shape}, p.moments[i]);
    }
}

}  // namespace

Snapshot Snapshot::copy(const Blocks& blocks, const record::Recipe& recipe) {
  Snapshot snapshot;
  each_tensor(blocks, recipe, [&](const TensorSpec& spec, Buffer& values) {
    snapshot.tensors.push_back({spec, values.clone()});
  });
  return snapshot;
}

void Snapshot::write(trace::SegmentWriter& segment, trace::Packing packing) const {
  for (const Tensor& t : tensors)
    segment.add(trace::state_dataset(t.spec.name), t.spec.dtype, t.spec.shape, t.values.bytes(), packing);
}

bool holds_state(const trace::SegmentReader& segment, const Blocks& blocks, const record::Recipe& recipe) {
  bool all = true;
  const std::vector<trace::SegmentReader::Entry> entries = segment.entries();
  each_tensor(blocks, recipe, [&](const TensorSpec& spec, Buffer&) {
    const std::string path = trace::state_dataset(spec.name);
    const auto at = std::lower_bound(
        entries.begin(), entries.end(), path,
        [](const trace::SegmentReader::Entry& e, const std::string& p) { return e.path < p; });
    all =
        all && at != entries.end() && at->path == path && at->dtype == spec.dtype && at->shape == spec.shape;
  });
  return all;
}

void read_state(const trace::SegmentReader& segment, Blocks& blocks, const record::Recipe& recipe) {
  each_tensor(blocks, recipe, [&](const TensorSpec& spec, Buffer& values) {
    segment.read(trace::state_dataset(spec.name), spec.dtype, spec.shape, values.mutable_bytes());
  });
}

}  // namespace aftune::train
