#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "audit/log_view.h"
#include "audit/source.h"
#include "data/rows.h"
#include "hash/blake3.h"
#include "model/layer_block.h"

namespace aftune::audit {

/// "activation 2": a tensor of boundary 2, which lies between stages 2 and 3.
std::string boundary_tensor(Side side, int boundary);
/// Its digest in the step's leaf.
const Digest& committed_boundary(const record::Step& step, Side side, int boundary);

/// Forward and backward of one block's stages over all micro-batches of one step, from recorded boundaries.
/// Memory is the activations of one micro-batch; boundaries are read by micro-batch.
class StepPasses {
 public:
  /// Called with the rows [first, first + tensor.rows) of one side of a boundary, in row order.
  using Seen = std::function<void(Side side, int boundary, std::int64_t first, const Matrix& tensor)>;

  /// All must outlive it. `rows` are the step's. The block is at the state before the step.
  StepPasses(const LogView& log, TensorSource& source, ThreadPool* pool, model::LayerBlock& block,
             const record::Step& step, const data::Rows& rows);

  /// Leaves the gradients of the whole step in the block, and losses in row_losses. `given` sees what was
  /// read, `computed` what the stages made of it. Throws Rejection if something to be read is not there.
  void run(const Seen& given, const Seen& computed);
  /// The same, into the two maps.
  void run_and_hash();

  using Digests = std::map<std::pair<Side, int>, hash::Blake3>;
  Digests given_digests, computed_digests;
  std::vector<double> row_losses;  ///< of the last stage

 private:
  void run_micro_batch(const data::Rows& rows, const Seen& given, const Seen& computed);
  Matrix read(Side side, int boundary, std::int64_t tokens, const Seen& given);

  const LogView& log_;
  TensorSource& source_;
  ThreadPool* pool_;
  model::LayerBlock& block_;
  const record::Step& step_;
  const data::Rows& rows_;
  const std::vector<int> stages_;
  const int last_stage_;
  std::int64_t first_token_ = 0;
};

/// Compares what was read with the step's leaf. Throws Rejection `evidence`: nothing follows from a replay of
/// something else than what was committed.
void check_given(const LogView& log, TensorSource& source, const StepPasses::Digests& digests,
                 const record::Step& step);

}  // namespace aftune::audit
