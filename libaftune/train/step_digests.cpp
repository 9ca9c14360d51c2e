#include "train/step_digests.h"

#include <utility>

#include "base/accelerator.h"
#include "base/error.h"
#include "train/background.h"

namespace aftune::train {

// Another way to the device, and the thread that uses it.
struct StepDigests::Beside {
  explicit Beside(Accelerator& of) : device(of.beside()), pool(1, device.get()) {}

  std::unique_ptr<Accelerator> device;
  ThreadPool pool;
  Background thread;
};

StepDigests::StepDigests(int boundaries, bool keep, ThreadPool& pool)
    : keep_(keep),
      pool_(pool),
      activations_(static_cast<std::size_t>(boundaries)),
      gradients_(static_cast<std::size_t>(boundaries)) {
  if (Accelerator* const device = pool.accelerator()) beside_ = std::make_unique<Beside>(*device);
}

StepDigests::~StepDigests() = default;

std::vector<StepDigests::Boundary>& StepDigests::whole(std::vector<Boundary>& list) {
  if (beside_) beside_->thread.wait();
  return list;
}

void StepDigests::reset() {
  if (beside_) beside_->thread.wait();
  for (std::vector<Boundary>* list : {&activations_, &gradients_})
    for (Boundary& b : *list) b = Boundary{};
}

void StepDigests::take(std::vector<Boundary>& boundaries, int boundary, const Matrix& rows) {
  Boundary& b = boundaries.at(static_cast<std::size_t>(boundary));
  b.rows += rows.rows;
  b.cols = rows.cols;
  if (beside_ == nullptr) {
    b.hash.update(rows.bytes(), &pool_);
    if (keep_) b.kept.insert(b.kept.end(), rows.bytes().begin(), rows.bytes().end());
    return;
  }
  // What comes next may write where the rows are.
  const auto copy = std::make_shared<const Buffer>(rows.values.clone(pool_));
  const std::shared_ptr<const Accelerator::Point> made = pool_.accelerator()->point();
  beside_->thread.post([this, &b, copy, made] {
    Accelerator& device = *beside_->device;
    device.after(*made);
    device.wait();  // what is no whole piece is hashed by this thread
    b.hash.update(copy->bytes(), &beside_->pool);
    if (!keep_) return;
    const std::size_t end = b.kept.size();
    b.kept.resize(end + copy->bytes().size());
    device.copy(b.kept.data() + end, copy->bytes().data(), copy->bytes().size());
  });
}

std::vector<Digest> finish(const std::vector<StepDigests::Boundary>& boundaries, std::int64_t tokens) {
  std::vector<Digest> digests;
  for (const StepDigests::Boundary& b : boundaries) {
    AFTUNE_CHECK(b.rows == tokens);
    digests.push_back(b.hash.finish());
  }
  return digests;
}

}  // namespace aftune::train
