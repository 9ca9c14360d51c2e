#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/parallel.h"
#include "data/rows.h"
#include "kernels/native.h"
#include "kernels/profile.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "model/op_observer.h"
#include "record/grid.h"
#include "record/leaves.h"
#include "record/recipe.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// A parameter with its moments and, during a step, its gradient. All f32, but for what is frozen.
struct Parameter {
  TensorSpec spec;
  Buffer value;
  Narrow narrow;                ///< instead of value: a frozen matrix that is in 16 bits on disk stays so
  std::vector<Buffer> moments;  ///< as optim::moment_names
  Buffer gradient;
};

/// What a step fixes for every block before its first forward.
struct StepContext {
  std::int64_t step = 0;
  double lr = 0;
  std::int64_t predicted =
      0;  ///< predicted positions of the whole batch: dlogits = (p - y) * (1 / predicted)
};

/// Activations kept from forward to backward. Opaque, owned by the caller; `recompute` keeps only stage
/// inputs.
class Saved {
 public:
  virtual ~Saved() = default;
};

/// Output of one stage on some rows. The last stage has no activations but losses, one per row in row order.
struct StageOutput {
  Matrix out;                      ///< [tokens, hidden]; empty for the last stage
  std::vector<double> row_losses;  ///< last stage: per row, rowsum of the predicted positions' losses
  std::unique_ptr<Saved> saved;    ///< null when keep was false
};

/// The unit of state: parameters and moments of some units, and the code of their stages. The trainer is a
/// loop over LayerBlocks, the auditor holds one; there is no second implementation. Not thread-safe; uses the
/// pool inside.
class LayerBlock {
 public:
  virtual ~LayerBlock() = default;

  virtual int index() const = 0;
  /// In unit order. Whoever changes values through a reference asks for it anew each time.
  virtual std::vector<Parameter>& parameters() = 0;
  /// Units owned, in order, and the parameters [first, last) of each.
  struct UnitSpan {
    int unit;
    std::size_t first, last;
  };
  virtual const std::vector<UnitSpan>& units() const = 0;

  /// Zeroes gradients. Must precede the first forward of each step.
  virtual void begin_step(const StepContext& context) = 0;
  /// Runs `stage` on rows. `in` is [tokens, hidden], null for stage 0. With keep, what backward needs is
  /// kept; at the last stage forward and backward run in one pass over row chunks, so that the logits of a
  /// whole batch never exist. Without keep nothing is kept and no gradient is touched (evaluation).
  virtual StageOutput forward(int stage, const data::Rows& rows, const Matrix* in, bool keep) = 0;
  /// Runs `stage`, not the last, on rows that continue the sequences of `caches`, one for each document, and
  /// adds what later rows need to them. Same bits as forward on the whole documents, however they are cut and
  /// whatever other documents come along. A cache is of the stage's layers; stage 0 needs none.
  virtual Matrix infer(int stage, const data::Rows& rows, const Matrix* in,
                       std::span<KvCache* const> caches) = 0;
  /// Raw logits [n, vocab] of the last stage's input `in` [n, hidden].
  virtual Matrix logits(const Matrix& in) = 0;
  /// Adds parameter gradients of these rows, in row order, and returns the gradient of the stage's input
  /// (empty for stage 0). grad_out is null at the last stage.
  virtual Matrix backward(int stage, const data::Rows& rows, std::unique_ptr<Saved> saved,
                          const Matrix* grad_out) = 0;
  /// After the last backward of the step: joins accumulators of parameters used twice, and returns the sum of
  /// squares of each unit's gradient, in the order of units(). Throws Error{kUsage} "non-finite ..." if any
  /// value computed in the step was not finite.
  virtual std::vector<double> sum_squares() = 0;
  /// Applies the optimizer to every parameter.
  virtual void update(float clip) = 0;
  /// Digests of parameters and moments as they are now.
  virtual record::BlockState state() const = 0;
};

class Checkpoint;

/// Everything a block's arithmetic depends on besides its state.
struct EngineOptions {
  Config config;
  record::Grid grid;
  record::Recipe recipe;
  kernels::Profile profile;
  bool recompute = false;
  /// With adapters: the weights beside which they stand, and which never change. Must hold the tensors that
  /// the config asks for; whoever gives it knows that they are those of the run.
  const Checkpoint* base = nullptr;
  ThreadPool* pool = nullptr;
  OpObserver* ops = nullptr;                      ///< with one, forward and backward take one row at a time
  kernels::Perturbation* perturbation = nullptr;  ///< of native products, on threads
};

/// Makes block `index` with uninitialised parameters; the caller fills parameters() (see loaders below). What
/// is frozen is read from options.base: Error{kEvidence} if a tensor is not there or of another shape.
std::unique_ptr<LayerBlock> make_block(const EngineOptions& options, int index);

/// Fills parameters from weights, those of adapters from the file of some (exact widening), moments with
/// zeros.
void load_base(LayerBlock& block, const Checkpoint& checkpoint);
/// Fills parameters from the recipe's seed (docs/numerics.md, "Init"), moments with zeros.
void init_parameters(LayerBlock& block, const EngineOptions& options);

/// What of a unit is trained, in our fixed order: its own tensors, or those of its adapters.
std::vector<TensorSpec> trained_tensors(const Config& config, const record::Recipe& recipe, int unit);
/// Over all units, in order.
std::vector<TensorSpec> all_trained_tensors(const Config& config, const record::Recipe& recipe);
/// Whether a tensor that is frozen lies in memory as it does on disk: a matrix that only products and lookups
/// read, which widen it.
bool stays_narrow(const Config& config, const TensorSpec& spec);
/// What a frozen tensor takes in memory, of a model whose tensors are of type `on_disk`.
std::uint64_t frozen_bytes(const Config& config, const TensorSpec& spec, DType on_disk);
/// Specs of a block's parameters and moments, as record::BlockState lists them.
std::vector<TensorSpec> block_parameter_specs(const Config& config, const record::Grid& grid,
                                              const record::Recipe& recipe, int block);
/// And of what it computes with that is not trained.
std::vector<TensorSpec> block_frozen_specs(const Config& config, const record::Grid& grid,
                                           const record::Recipe& recipe, int block);
std::vector<TensorSpec> block_moment_specs(const Config& config, const record::Grid& grid,
                                           const record::Recipe& recipe, int block);

}  // namespace aftune::model
