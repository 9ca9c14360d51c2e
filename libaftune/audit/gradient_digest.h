#pragma once

#include "audit/challenge.h"
#include "hash/blake3.h"
#include "model/layer_block.h"

namespace aftune::audit {

/// Of the weight gradients of one block in each step of a step block. The record does not hold them, so that
/// only who replayed the cell can know it.
class GradientDigest {
 public:
  void reset() { hash_ = hash::Blake3(); }
  /// After the last backward pass of a step.
  void add(model::LayerBlock& block, ThreadPool* pool);
  /// What a verdict shows of it: BLAKE3, keyed, of block and step block as u64 little-endian and the digest.
  Digest value(const Digest& key, const Cell& cell) const;

 private:
  hash::Blake3 hash_;
};

}  // namespace aftune::audit
