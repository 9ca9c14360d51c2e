#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/optimizer_scalars.h"
#include "record/recipe.h"
#include "tensor/tensor.h"

namespace aftune::optim {

/// Learning rate of step t (0-based), in binary64, by our own polynomials (docs/numerics.md, "Schedules"):
/// multiplier t / warmup below warmup_steps as transformers has it, then constant, linear or cosine to 0.
double learning_rate(const record::Recipe& recipe, std::int64_t step);

/// Factor for all gradients: min(1, clip_norm / (norm + 1e-6)) in binary64, then rounded to f32; 1 if
/// clip_norm is 0.
float clip_scale(const record::Recipe& recipe, double norm);
/// sqrt of the sum of the units' sums of squares, in unit order, binary64.
double global_norm(const std::vector<double>& unit_sums);

/// Names of the moments the recipe's optimizer keeps for each parameter, in order: {"exp_avg","exp_avg_sq"}
/// for adamw, {"momentum"} or {} for sgd. A moment's tensor is named "<parameter>.<moment>".
std::vector<std::string> moment_names(const record::Recipe& recipe);

/// What adamw/1 multiplies with at this step, of this tensor; `step` is 0-based.
kernels::AdamW adamw_scalars(const record::Recipe& recipe, std::int64_t step, double lr, float clip,
                             const TensorSpec& spec);

/// Whether weight decay is for a tensor: for those of rank 2 and more, or all; never for one that the model
/// makes no use of (a classifier's mask_token), which must stay what it is.
bool decays(const record::Recipe& recipe, const TensorSpec& spec);

/// One update of one tensor in place. `step` is 0-based; g is multiplied by `clip` first.
/// Uses torch's order of operations (standards: optimizer). Sets *nonfinite if a result is not finite.
void update(const record::Recipe& recipe, std::int64_t step, double lr, float clip, const TensorSpec& spec,
            Buffer& parameter, std::vector<Buffer>& moments, const Buffer& gradient, ThreadPool& pool,
            bool* nonfinite);

}  // namespace aftune::optim
