#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/rows.h"
#include "model/config.h"
#include "model/layer_block.h"
#include "model/op_observer.h"
#include "model/projection.h"
#include "record/recipe.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// Tensors of the adapters of unit u in our fixed order, all F32, by the names that peft gives them: of each
/// projection that has one A [rank, in], then B [out, rank]. Embedding and head have none.
std::vector<TensorSpec> adapter_tensors(const Config& config, const record::Recipe& recipe, int unit);
/// Whether a tensor of this name is an adapter's, if it is any of a run's.
bool is_of_adapter(std::string_view tensor);
/// The matrix of the model, by its name there, that an adapter's tensor of this name belongs to; "" if it is
/// none's.
std::string adapted_weight(const Config& config, std::string_view adapter_tensor);
/// Layer and projection of an adapter's tensor of this name; none if it is none's.
struct AdapterPlace {
  int layer = 0;
  Projection projection{};
};
std::optional<AdapterPlace> place_of_adapter(const Config& config, std::string_view adapter_tensor);
/// The first target of the recipe that the model's layers have no product for; "" if there is none.
std::string_view missing_target(const Config& config, const record::Recipe& recipe);
/// Whether peft finds this module of a layer by this name: "q_proj" names "self_attn.q_proj".
bool names_module(std::string_view name, std::string_view module);
/// The recipe's text for a list of targets, each one of record::kLoraTargets or, as peft has it, the name of
/// modules of a layer; the model's usual ones for "". Error{kUsage} if the model has no such product.
std::string lora_targets_of(const Config& config, std::string_view list);
/// Whether the layers can be told apart in what their adapters drop: of at most 256, unless nothing is
/// dropped.
bool can_drop(const Config& config, const record::Recipe& recipe);
/// lora_alpha / lora_rank: what the adapters' product is multiplied by.
float adapter_scale(const record::Recipe& recipe);

/// The adapters of one layer's projections (Hu et al. 2021, LoRA): beside y = W x, of which W stays as it is,
///
///   y += scale * B(A(dropout(x)))
///
/// always in f32. `a` is where the layer's adapters begin, in the order of adapter_tensors. Which elements a
/// step drops is a function of seed, row, token, layer and projection.
class Adapters {
 public:
  Adapters(const Config& config, const record::Recipe& recipe, ThreadPool& pool, OpObserver* ops);

  bool has(Projection which) const { return slot_[place(which)] >= 0; }
  /// What the random numbers of the next passes belong to.
  void begin_step(std::int64_t step) { step_ = step; }

  /// A layer's pass over some rows; nothing is dropped unless it is of a training step.
  struct Pass {
    const data::Rows& rows;
    int layer = 0;
    bool training = false;
  };
  /// x [n, in], y [n, out]. The result of A, which backward needs, is left in `inner` [n, rank].
  void forward(const Parameter* a, Projection which, const Pass& pass, const Matrix& x, Matrix& y,
               Matrix& inner) const;
  /// Adds the gradients of A and B. `inner` becomes its own gradient.
  void weights_backward(Parameter* a, Projection which, const Pass& pass, const Matrix& x, const Matrix& dy,
                        Matrix& inner) const;
  /// Adds to dx the gradient that goes through the adapter.
  void input_backward(const Parameter* a, Projection which, const Pass& pass, const Matrix& d_inner,
                      Matrix& dx) const;

 private:
  bool drops(const Pass& pass) const { return pass.training && recipe_.lora_dropout > 0; }
  Matrix dropped(const Parameter& of, Projection which, const Pass& pass, const Matrix& x) const;
  Matrix linear(const Parameter& weight, const Matrix& x) const;
  Matrix grad_input(const Parameter& weight, const Matrix& dy) const;
  void grad_weight(Parameter& weight, const data::Rows& rows, const Matrix& dy, const Matrix& x) const;
  const Parameter& down(const Parameter* a, Projection which) const { return a[slot_[place(which)]]; }
  const Parameter& up(const Parameter* a, Projection which) const { return a[slot_[place(which)] + 1]; }

  const record::Recipe& recipe_;
  ThreadPool& pool_;
  OpObserver* ops_;
  const float scale_;
  std::vector<int> slot_;  // of each projection's A among a layer's adapters; -1: none
  std::int64_t step_ = 0;
};

/// Which elements the dropout of this projection drops in rows of which `first_row` is the first, by its
/// number in the step.
kernels::DropoutSite dropout_site(const record::Recipe& recipe, std::int64_t step, std::int64_t first_row,
                                  int layer, Projection which);

}  // namespace aftune::model
