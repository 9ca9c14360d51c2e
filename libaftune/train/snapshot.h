#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "model/layer_block.h"
#include "trace/segment.h"

namespace aftune::train {

using Blocks = std::vector<std::unique_ptr<model::LayerBlock>>;

/// A full training state on its way to a file. It is lent by the blocks: one thread may write it while
/// another runs the forward and backward passes of the next step. Only what is not written when that step is
/// about to change the state is copied.
///
/// The blocks outlive the snapshot, or keep() has been called.
class Snapshot {
 public:
  Snapshot(const Blocks& blocks, const record::Recipe& recipe);

  /// Returns when the blocks may change. Copies what has not been written, on the pool's threads.
  void keep(ThreadPool& pool);
  /// Adds the tensors to the segment. Once; another thread may call keep() meanwhile.
  void write(trace::SegmentWriter& segment, trace::Packing packing);

 private:
  struct Tensor {
    TensorSpec spec;
    ByteView bytes;  ///< of the block, or of `copy`
    Buffer copy;
    bool written = false;
  };
  /// The writer's hold on a tensor's bytes. While they are those of a block, keep() does not return.
  class Reading;

  std::vector<Tensor> tensors_;
  std::mutex mutex_;
  std::condition_variable idle_;
  bool reads_block_ = false;
};

/// True if the segment has every tensor of the blocks' state, by name, type and shape.
bool holds_state(const trace::SegmentReader& segment, const Blocks& blocks, const record::Recipe& recipe);
/// Reads the state into the blocks. Throws Error{kEvidence} if a tensor is absent or another.
void read_state(const trace::SegmentReader& segment, Blocks& blocks, const record::Recipe& recipe);

}  // namespace aftune::train
