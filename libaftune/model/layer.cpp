#include "model/layer.h"

#include "base/error.h"
#include "kernels/ops.h"
#include "model/architecture.h"

namespace aftune::model {

void add_residual(const StageContext& with, const Parameter& weight, const Matrix& x, Matrix& branch) {
  observed(with.ops, {OpKind::kAdd, weight.spec.name, x.rows}, {x.bytes(), branch.bytes()}, {branch.bytes()},
           [&] { kernels::add(with.pool, x.values.size(), x.data(), branch.data(), branch.data()); });
}

int slot_in_layer(const Config& config, std::string_view name) {
  const std::vector<TensorSpec> specs = unit_tensors(config, 1);
  const std::string whole = cat(config.architecture->layers, "0.", name);
  for (std::size_t i = 0; i < specs.size(); ++i)
    if (specs[i].name == whole) return static_cast<int>(i);
  return -1;
}

}  // namespace aftune::model
