// Which tensors a block has.

#include "model/adapter.h"
#include "model/layer_block.h"
#include "optim/optimizer.h"

namespace aftune::model {

std::vector<TensorSpec> trained_tensors(const Config& config, const record::Recipe& recipe, int unit) {
  return recipe.is_lora() ? adapter_tensors(config, recipe, unit) : unit_tensors(config, unit);
}

std::vector<TensorSpec> all_trained_tensors(const Config& config, const record::Recipe& recipe) {
  std::vector<TensorSpec> all;
  for (int unit = 0; unit <= config.layers + 1; ++unit)
    for (TensorSpec& spec : trained_tensors(config, recipe, unit)) all.push_back(std::move(spec));
  return all;
}

std::vector<TensorSpec> block_parameter_specs(const Config& config, const record::Grid& grid,
                                              const record::Recipe& recipe, int block) {
  std::vector<TensorSpec> specs;
  for (const int unit : grid.units_of_block(block))
    for (TensorSpec& spec : trained_tensors(config, recipe, unit)) specs.push_back(std::move(spec));
  return specs;
}

std::vector<TensorSpec> block_frozen_specs(const Config& config, const record::Grid& grid,
                                           const record::Recipe& recipe, int block) {
  return recipe.is_lora() ? block_parameter_specs(config, grid, record::Recipe{}, block)
                          : std::vector<TensorSpec>{};
}

std::vector<TensorSpec> block_moment_specs(const Config& config, const record::Grid& grid,
                                           const record::Recipe& recipe, int block) {
  std::vector<TensorSpec> specs;
  for (const TensorSpec& p : block_parameter_specs(config, grid, recipe, block))
    for (const std::string& moment : optim::moment_names(recipe))
      specs.push_back({p.name + '.' + moment, DType::kF32, p.shape});
  return specs;
}

}  // namespace aftune::model
