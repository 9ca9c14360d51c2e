#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/layer_block.h"
#include "trace/segment.h"

namespace aftune::train {

using Blocks = std::vector<std::unique_ptr<model::LayerBlock>>;

/// A full training state, copied so that it can be written while the next steps change the original.
struct Snapshot {
  struct Tensor {
    TensorSpec spec;
    Buffer values;
  };
  std::vector<Tensor> tensors;

  static Snapshot copy(const Blocks& blocks, const record::Recipe& recipe);
  void write(trace::SegmentWriter& segment, trace::Packing packing) const;
};

/// True if the segment has every tensor of the blocks' state, by name, type and shape.
bool holds_state(const trace::SegmentReader& segment, const Blocks& blocks, const record::Recipe& recipe);
/// Reads the state into the blocks. Throws Error{kEvidence} if a tensor is absent or another.
void read_state(const trace::SegmentReader& segment, Blocks& blocks, const record::Recipe& recipe);

}  // namespace aftune::train
