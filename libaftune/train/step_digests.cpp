#include "train/step_digests.h"

#include "base/error.h"

namespace aftune::train {

StepDigests::StepDigests(int boundaries, bool keep, ThreadPool& pool)
    : keep_(keep),
      pool_(pool),
      activations_(static_cast<std::size_t>(boundaries)),
      gradients_(static_cast<std::size_t>(boundaries)) {}

void StepDigests::reset() {
  for (std::vector<Boundary>* list : {&activations_, &gradients_})
    for (Boundary& b : *list) b = Boundary{};
}

void StepDigests::take(std::vector<Boundary>& boundaries, int boundary, const Matrix& rows) {
  Boundary& b = boundaries.at(static_cast<std::size_t>(boundary));
  b.hash.update(rows.bytes(), &pool_);
  b.rows += rows.rows;
  b.cols = rows.cols;
  if (keep_) b.kept.insert(b.kept.end(), rows.bytes().begin(), rows.bytes().end());
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
