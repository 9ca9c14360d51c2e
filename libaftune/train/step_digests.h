#pragma once

#include <memory>
#include <vector>

#include "hash/blake3.h"
#include "train/engine.h"

namespace aftune::train {

/// Digests the boundary tensors of one step as their rows come, and keeps their bytes if asked to. With an
/// accelerator that goes on beside the computing, from copies.
class StepDigests {
 public:
  StepDigests(int boundaries, bool keep, ThreadPool& pool);
  StepDigests(const StepDigests&) = delete;
  StepDigests& operator=(const StepDigests&) = delete;
  ~StepDigests();

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
  /// Of all rows that came.
  std::vector<Boundary>& activations() { return whole(activations_); }
  std::vector<Boundary>& gradients() { return whole(gradients_); }

 private:
  struct Beside;
  std::vector<Boundary>& whole(std::vector<Boundary>& list);
  void take(std::vector<Boundary>& boundaries, int boundary, const Matrix& rows);

  bool keep_;
  ThreadPool& pool_;
  std::vector<Boundary> activations_, gradients_;
  std::unique_ptr<Beside> beside_;  // last: its thread must stop before the rest goes
};

/// Digests of the boundaries, each of which must have had exactly `tokens` rows.
std::vector<Digest> finish(const std::vector<StepDigests::Boundary>& boundaries, std::int64_t tokens);

}  // namespace aftune::train
