#include "model/encoder_layer.h"

#include <utility>
#include <vector>

#include "base/error.h"
#include "kernels/image_ops.h"
#include "kernels/ops.h"

namespace aftune::model {
namespace {

using kernels::Into;

using enum Projection;

// Every second row from `first` on: x [n, 2 w] are 2 n rows of w, of each position gate, then up.
std::vector<std::int64_t> half_rows(std::int64_t n, std::int64_t first) {
  std::vector<std::int64_t> list;
  for (std::int64_t i = 0; i < n; ++i) list.push_back(2 * i + first);
  return list;
}

int place_of(const StageContext& with, std::string_view name, std::string_view suffix = "") {
  return name.empty() ? -1 : slot_in_layer(with.config, cat(name, suffix));
}

}  // namespace

EncoderLayer::EncoderLayer(const StageContext& with, const EncoderNames& names)
    : with_(with),
      projections_(with),
      attention_(with),
      norm_(with),
      swiglu_(names.swiglu),
      attention_norm_(place_of(with, names.attention_norm, ".weight")),
      mlp_norm_(place_of(with, names.mlp_norm, ".weight")),
      attention_scale_(place_of(with, names.attention_scale)),
      mlp_scale_(place_of(with, names.mlp_scale)) {}

Layer::Result EncoderLayer::forward(const LayerTensors& p, const data::Rows& rows, Matrix x, bool training) {
  auto keep = std::make_unique<EncoderActivations>();
  keep->training = training;
  keep->input = std::move(x);
  keep->middle = attention_branch(p, rows, *keep);
  scale(p, attention_scale_, keep->middle, keep->attention_branch);
  add_residual(with_, projections_.weight(p, kO), keep->input, keep->middle);
  Matrix y = mlp_branch(p, rows, *keep);
  scale(p, mlp_scale_, y, keep->mlp_branch);
  add_residual(with_, projections_.weight(p, kDown), keep->middle, y);
  return {std::move(y), std::move(keep)};
}

Matrix EncoderLayer::infer(const LayerTensors&, const data::Rows&, Matrix, std::span<KvCache* const>, int) {
  fail(Fault::kUsage, "a model of images gives no answers that grow");
}

Matrix EncoderLayer::attention_branch(const LayerTensors& p, const data::Rows& rows,
                                      EncoderActivations& keep) const {
  keep.attention_norm = norm_.forward(&p.base[attention_norm_], keep.input, keep.input_norm);
  {
    Products::Input x(with_.products, keep.attention_norm);
    keep.attention.q = projections_.forward(p, kQ, rows, x, keep);
    keep.attention.k = projections_.forward(p, kK, rows, x, keep);
    keep.attention.v = projections_.forward(p, kV, rows, x, keep);
  }
  attention_.forward(projections_.weight(p, kO).spec.name, rows, keep.attention);
  Products::Input heads(with_.products, keep.attention.out);
  return projections_.forward(p, kO, rows, heads, keep);
}

Matrix EncoderLayer::mlp_branch(const LayerTensors& p, const data::Rows& rows,
                                EncoderActivations& keep) const {
  keep.mlp_norm = norm_.forward(&p.base[mlp_norm_], keep.middle, keep.middle_norm);
  {
    Products::Input x(with_.products, keep.mlp_norm);
    keep.up = projections_.forward(p, kUp, rows, x, keep);
  }
  activate(p, keep);
  Products::Input product(with_.products, keep.product);
  return projections_.forward(p, kDown, rows, product, keep);
}

// product of up; with SwiGLU, of the halves of up.
void EncoderLayer::activate(const LayerTensors& p, EncoderActivations& keep) const {
  const std::int64_t n = keep.up.rows, width = with_.config.intermediate;
  const std::string_view up = projections_.weight(p, kUp).spec.name;
  const std::string_view down = projections_.weight(p, kDown).spec.name;
  keep.product = Matrix(n, width);
  if (!swiglu_) {
    observed(with_.ops, {OpKind::kGelu, down, n}, {keep.up.bytes()}, {keep.product.bytes()}, [&] {
      kernels::gelu(with_.pool, with_.config.gelu, keep.up.values.size(), keep.up.data(),
                    keep.product.data());
    });
    return;
  }
  const Matrix both = std::exchange(keep.up, Matrix(n, width));
  keep.gate = Matrix(n, width);
  observed(with_.ops, {OpKind::kSplit, up, n}, {both.bytes()}, {keep.gate.bytes(), keep.up.bytes()}, [&] {
    kernels::gather_rows(with_.pool, n, width, half_rows(n, 0).data(), both.data(), keep.gate.data());
    kernels::gather_rows(with_.pool, n, width, half_rows(n, 1).data(), both.data(), keep.up.data());
  });
  observed(with_.ops, {OpKind::kSwiglu, down, n}, {keep.gate.bytes(), keep.up.bytes()},
           {keep.product.bytes()}, [&] {
             kernels::swiglu(with_.pool, keep.gate.values.size(), keep.gate.data(), keep.up.data(),
                             keep.product.data());
           });
}

// kept.product is its gradient, and kept.up becomes that of what the product `up` gave.
void EncoderLayer::activate_backward(const LayerTensors& p, EncoderActivations& kept) const {
  const std::int64_t n = kept.up.rows, width = with_.config.intermediate;
  const std::string_view up = projections_.weight(p, kUp).spec.name;
  const std::string_view down = projections_.weight(p, kDown).spec.name;
  Matrix &d_product = kept.product, &d_gate = kept.gate, &d_up = kept.up;
  if (!swiglu_) {
    observed(with_.ops, {OpKind::kGeluGrad, down, n}, {kept.up.bytes(), d_product.bytes()}, {d_up.bytes()},
             [&] {
               kernels::gelu_grad(with_.pool, with_.config.gelu, d_up.values.size(), kept.up.data(),
                                  d_product.data(), d_up.data());
             });
    return;
  }
  observed(with_.ops, {OpKind::kSwigluGrad, down, n}, {kept.gate.bytes(), kept.up.bytes(), d_product.bytes()},
           {d_gate.bytes(), d_up.bytes()}, [&] {
             kernels::swiglu_grad(with_.pool, d_gate.values.size(), kept.gate.data(), kept.up.data(),
                                  d_product.data(), d_gate.data(), d_up.data());
           });
  Matrix both(n, 2 * width);
  observed(with_.ops, {OpKind::kSplitGrad, up, n}, {d_gate.bytes(), d_up.bytes()}, {both.bytes()}, [&] {
    kernels::scatter_rows(with_.pool, n, width, half_rows(n, 0).data(), d_gate.data(), both.data());
    kernels::scatter_rows(with_.pool, n, width, half_rows(n, 1).data(), d_up.data(), both.data());
  });
  kept.up = std::move(both);
  release(kept.gate);
}

Matrix EncoderLayer::backward(const LayerTensors& p, const data::Rows& rows,
                              std::unique_ptr<LayerActivations> kept, Matrix dy) {
  // `gradient` is that of y, then of middle, then of x: the residual passes it on, each branch adds its own.
  Matrix gradient = std::move(dy);
  auto& own = static_cast<EncoderActivations&>(*kept);
  mlp_backward(p, rows, own, gradient);
  attention_backward(p, rows, own, gradient);
  return gradient;
}

void EncoderLayer::mlp_backward(const LayerTensors& p, const data::Rows& rows, EncoderActivations& kept,
                                Matrix& gradient) const {
  {
    const Matrix& d_branch = scale_backward(p, mlp_scale_, rows, gradient, kept.mlp_branch);
    projections_.weights_backward(p, rows, kept.product, {{kDown, d_branch}}, kept);
    Matrix& d_product = kept.product;  // no longer needed: its memory takes its gradient
    projections_.inputs_backward(p, rows, {{kDown, d_branch}}, kept, d_product);
  }
  release(kept.mlp_branch);
  activate_backward(p, kept);
  release(kept.product);
  projections_.weights_backward(p, rows, kept.mlp_norm, {{kUp, kept.up}}, kept);
  Matrix& d_norm = kept.mlp_norm;
  projections_.inputs_backward(p, rows, {{kUp, kept.up}}, kept, d_norm);
  norm_.backward(&p.base[mlp_norm_], p.frozen(), rows, kept.middle, kept.middle_norm, d_norm, gradient,
                 Into::kAdd);
  release(kept.mlp_norm, kept.middle, kept.up);
}

void EncoderLayer::attention_backward(const LayerTensors& p, const data::Rows& rows, EncoderActivations& kept,
                                      Matrix& gradient) const {
  Matrix d_out(kept.attention.out.rows, kept.attention.out.cols);
  {
    const Matrix& d_branch = scale_backward(p, attention_scale_, rows, gradient, kept.attention_branch);
    projections_.weights_backward(p, rows, kept.attention.out, {{kO, d_branch}}, kept);
    projections_.inputs_backward(p, rows, {{kO, d_branch}}, kept, d_out);
  }
  release(kept.attention_branch);
  const Attention::Gradients d =
      attention_.backward(projections_.weight(p, kO).spec.name, rows, kept.attention, std::move(d_out));
  projections_.weights_backward(p, rows, kept.attention_norm, {{kQ, d.q}, {kK, d.k}, {kV, d.v}}, kept);
  Matrix& d_norm = kept.attention_norm;
  projections_.inputs_backward(p, rows, {{kQ, d.q}, {kK, d.k}, {kV, d.v}}, kept, d_norm);
  norm_.backward(&p.base[attention_norm_], p.frozen(), rows, kept.input, kept.input_norm, d_norm, gradient,
                 Into::kAdd);
}

// What the branch was goes into `before`, which its scale's gradient needs.
void EncoderLayer::scale(const LayerTensors& p, int slot, Matrix& branch, Matrix& before) const {
  if (slot < 0) return;
  const Parameter& lambda = p.base[slot];
  before = std::exchange(branch, Matrix(branch.rows, branch.cols));
  observed(with_.ops, {OpKind::kLayerScale, lambda.spec.name, branch.rows},
           {before.bytes(), lambda.value.bytes()}, {branch.bytes()}, [&] {
             kernels::layer_scale(with_.pool, branch.rows, branch.cols, before.data(), lambda.value.data(),
                                  branch.data());
           });
}

// Of dy, the gradient of what came out of the scale, that of what went in; it takes the memory of `before`.
const Matrix& EncoderLayer::scale_backward(const LayerTensors& p, int slot, const data::Rows& rows,
                                           const Matrix& dy, Matrix& before) const {
  if (slot < 0) return dy;
  Parameter& lambda = p.base[slot];
  if (!p.frozen())
    observed(with_.ops, {OpKind::kLayerScaleGradWeight, lambda.spec.name, dy.rows},
             {before.bytes(), dy.bytes(), lambda.gradient.bytes()}, {lambda.gradient.bytes()}, [&] {
               kernels::layer_scale_grad_weight(with_.pool, rows.rows(), rows.row_starts.data(), dy.cols,
                                                before.data(), dy.data(), lambda.gradient.data());
             });
  observed(with_.ops, {OpKind::kLayerScale, lambda.spec.name, dy.rows}, {dy.bytes(), lambda.value.bytes()},
           {before.bytes()}, [&] {
             kernels::layer_scale(with_.pool, dy.rows, dy.cols, dy.data(), lambda.value.data(),
                                  before.data());
           });
  return before;
}

}  // namespace aftune::model
