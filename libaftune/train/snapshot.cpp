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

class Snapshot::Reading {
 public:
  Reading(Snapshot& snapshot, const Tensor& tensor) : snapshot_(snapshot) {
    const std::lock_guard lock(snapshot_.mutex_);
    snapshot_.reads_block_ = tensor.copy.empty();
    bytes_ = tensor.bytes;
  }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() {
    {
      const std::lock_guard lock(snapshot_.mutex_);
      snapshot_.reads_block_ = false;
    }
    snapshot_.idle_.notify_all();
  }
  ByteView bytes() const { return bytes_; }

 private:
  Snapshot& snapshot_;
  ByteView bytes_;
};

Snapshot::Snapshot(const Blocks& blocks, const record::Recipe& recipe) {
  each_tensor(blocks, recipe, [&](const TensorSpec& spec, Buffer& values) {
    tensors_.push_back({spec, values.bytes(), {}});
  });
}

// The copies are made while the writer goes on, from the blocks still; after the exchange it takes the
// copies, and what it reads at that moment is waited for.
void Snapshot::keep(ThreadPool& pool) {
  std::vector<Tensor*> waiting;
  {
    const std::lock_guard lock(mutex_);
    for (Tensor& tensor : tensors_)
      if (!tensor.written) waiting.push_back(&tensor);
  }
  std::vector<Buffer> copies;
  for (const Tensor* tensor : waiting)
    copies.emplace_back(static_cast<std::int64_t>(tensor->bytes.size() / sizeof(float)));
  const auto copy_one = [&](std::int64_t i) {
    Buffer& to = copies[static_cast<std::size_t>(i)];
    const std::byte* const from = waiting[static_cast<std::size_t>(i)]->bytes.data();
    copy(pool, to.size(), reinterpret_cast<const float*>(from), to.data());
  };
  if (pool.accelerator() == nullptr)
    pool.run(std::ssize(waiting), copy_one);
  else  // one after the other: it is fast enough alone
    for (std::int64_t i = 0; i < std::ssize(waiting); ++i) copy_one(i);
  pool.wait_for_accelerator();
  std::unique_lock lock(mutex_);
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (waiting[i]->written) continue;
    waiting[i]->copy = std::move(copies[i]);
    waiting[i]->bytes = waiting[i]->copy.bytes();
  }
  idle_.wait(lock, [this] { return !reads_block_; });
}

void Snapshot::write(trace::SegmentWriter& segment, trace::Packing packing) {
  for (Tensor& tensor : tensors_) {
    const std::string path = trace::state_dataset(tensor.spec.name);
    if (packing == trace::Packing::kRaw)
      segment.add_pieces(path, tensor.spec.dtype, tensor.spec.shape,
                         [&](std::size_t from, std::size_t size, const auto& use) {
                           use(Reading(*this, tensor).bytes().subspan(from, size));
                         });
    else
      segment.add(path, tensor.spec.dtype, tensor.spec.shape, Reading(*this, tensor).bytes(), packing);
    const std::lock_guard lock(mutex_);
    tensor.written = true;
    tensor.copy = Buffer();
  }
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
