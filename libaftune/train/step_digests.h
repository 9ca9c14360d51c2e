#pragma once

#include <vector>

#include "hash/blake3.h"
#include "train/engine.h"

namespace aftune::train {

/// Digests the boundary tensors of one step as their rows come, and keeps their bytes if asked to.
class StepDigests {
 public:
  StepDigests(int boundaries, bool keep, ThreadPool& pool);

  void activation(int boundary, const Matrix& rows) { take(activations_, boundary, rows); }
  void gradient(int boundary, const Matrix& rows) { take(gradients_, boundary, rows); }
  /// Forgets the last step.
  void reset();

  struct Boundary {
    hash::Blake3 hash;
    Bytes kept;
    std::int64_t rows = 0;
    std::int64_t cols = 0;
  };
  std::vector<Boundary>& activations() { return activations_; }
  std::vector<Boundary>& gradients() { return gradients_; }

 private:
  void take(std::vector<Boundary>& boundaries, int boundary, const Matrix& rows);

  bool keep_;
  ThreadPool& pool_;
  std::vector<Boundary> activations_, gradients_;
};

/// Digests of the boundaries, each of which must have had exactly `tokens` rows.
std::vector<Digest> finish(const std::vector<StepDigests::Boundary>& boundaries, std::int64_t tokens);

}  // namespace aftune::train
