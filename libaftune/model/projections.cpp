#include "model/projections.h"

#include "base/error.h"
#include "kernels/ops.h"
#include "model/architecture.h"

namespace aftune::model {

using kernels::Into;

Projections::Projections(const StageContext& with) : with_(with) {
  for (std::size_t i = 0; i < kProjections; ++i) {
    const std::string_view module = with.config.architecture->projections[i];
    weights_[i] = module.empty() ? -1 : slot_in_layer(with.config, cat(module, ".weight"));
    biases_[i] = module.empty() ? -1 : slot_in_layer(with.config, cat(module, ".bias"));
  }
}

Weight Projections::matrix(const LayerTensors& p, Projection which) const {
  const Parameter& w = weight(p, which);
  const bool transposed = with_.config.architecture->transposed;
  return {w.spec.name, w.value, w.spec.shape[transposed ? 1 : 0], w.spec.shape[transposed ? 0 : 1],
          transposed};
}

Matrix Projections::forward(const LayerTensors& p, Projection which, const data::Rows& rows,
                            Products::Input& x, LayerActivations& keep) const {
  Matrix y = with_.products.linear(matrix(p, which), x);
  if (const int bias = biases_[place(which)]; bias >= 0) add_bias(with_, p.base[bias], y);
  if (with_.adapters.has(which))
    with_.adapters.forward(p.adapters, which, {rows, p.layer, keep.training}, x.matrix(), y,
                           keep.inner[place(which)]);
  return y;
}

void Projections::weights_backward(const LayerTensors& p, const data::Rows& rows, const Matrix& x,
                                   std::initializer_list<Branch> branches, LayerActivations& kept) const {
  Products::Input input(with_.products, x);
  for (const auto& [which, dy] : branches) {
    if (with_.adapters.has(which))
      with_.adapters.weights_backward(p.adapters, which, {rows, p.layer, kept.training}, x, dy,
                                      kept.inner[place(which)]);
    if (p.frozen()) continue;
    Parameter& weight = p.base[weights_[place(which)]];
    with_.products.grad_weight(matrix(p, which), rows.row_starts, dy, input, weight.gradient);
    if (const int bias = biases_[place(which)]; bias >= 0) bias_backward(with_, p.base[bias], rows, dy);
  }
}

void Projections::inputs_backward(const LayerTensors& p, const data::Rows& rows,
                                  std::initializer_list<Branch> branches, LayerActivations& kept,
                                  Matrix& dx) const {
  Into into = Into::kStore;
  for (const auto& [which, dy] : branches) {
    with_.products.grad_input(matrix(p, which), dy, dx, into);
    if (with_.adapters.has(which))
      with_.adapters.input_backward(p.adapters, which, {rows, p.layer, kept.training},
                                    kept.inner[place(which)], dx);
    into = Into::kAdd;
  }
}

void add_bias(const StageContext& with, const Parameter& bias, Matrix& x) {
  observed(with.ops, {OpKind::kAddBias, bias.spec.name, x.rows}, {x.bytes(), bias.value.bytes()}, {x.bytes()},
           [&] { kernels::add_bias(with.pool, x.rows, x.cols, bias.value.data(), x.data()); });
}

void bias_backward(const StageContext& with, Parameter& bias, const data::Rows& rows, const Matrix& dy) {
  observed(with.ops, {OpKind::kBiasGrad, bias.spec.name, dy.rows}, {dy.bytes(), bias.gradient.bytes()},
           {bias.gradient.bytes()}, [&] {
             kernels::bias_grad(with.pool, rows.rows(), rows.row_starts.data(), dy.cols, dy.data(),
                                bias.gradient.data());
           });
}

}  // namespace aftune::model
