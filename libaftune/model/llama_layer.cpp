#include "model/llama_layer.h"

#include <cmath>

#include "kernels/ops.h"

namespace aftune::model {
namespace {

using kernels::Into;

// Positions of a layer's parameters in its unit (unit_tensors).
enum Slot { kInputNorm, kQ, kK, kV, kO, kPostNorm, kGate, kUp, kDown };

kernels::AttentionShape attention_shape(const Config& config) {
  // Square root and division are exact roundings everywhere, so std::sqrt is safe here.
  const double scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim));
  return {config.heads, config.kv_heads, config.head_dim, static_cast<float>(scale)};
}

std::int64_t documents(const data::Rows& rows) {
  return static_cast<std::int64_t>(rows.doc_starts.size()) - 1;
}

std::int64_t out_features(const Parameter& weight) {
  return weight.spec.shape[0];
}

}  // namespace

RopeTable RopeTable::make(const Config& config, std::int64_t positions) {
  kernels::RopeParameters p;
  p.theta = config.rope_theta;
  p.head_dim = config.head_dim;
  if (config.rope_scaling) {
    p.llama3 = true;
    p.factor = config.rope_scaling->factor;
    p.low_freq_factor = config.rope_scaling->low_freq_factor;
    p.high_freq_factor = config.rope_scaling->high_freq_factor;
    p.original_max_position = config.rope_scaling->original_max_position;
  }
  RopeTable table{Buffer(positions * config.head_dim / 2), Buffer(positions * config.head_dim / 2)};
  kernels::rope_table(p, positions, table.cos.data(), table.sin.data());
  return table;
}

Matrix LlamaLayer::linear(const Parameter& weight, const Matrix& x) const {
  Matrix y(x.rows, out_features(weight));
  kernels::linear(pool_, x.rows, x.cols, y.cols, x.data(), weight.value.data(), y.data());
  return y;
}

void LlamaLayer::linear_gradient(Parameter& weight, const data::Rows& rows, const Matrix& dy,
                                 const Matrix& x) const {
  kernels::linear_grad_weight(pool_, rows.rows(), rows.row_starts.data(), x.cols, dy.cols, dy.data(),
                              x.data(), weight.gradient.data());
}

Matrix LlamaLayer::attend(const Parameter* p, const data::Rows& rows, LayerActivations& keep) const {
  const std::int64_t n = keep.input.rows;
  keep.attention_norm = Matrix(n, config_.hidden);
  keep.attention_inv = Buffer(n);
  kernels::rmsnorm(pool_, n, config_.hidden, config_.rms_eps, keep.input.data(), p[kInputNorm].value.data(),
                   keep.attention_norm.data(), keep.attention_inv.data());
  keep.q = linear(p[kQ], keep.attention_norm);
  keep.k = linear(p[kK], keep.attention_norm);
  keep.v = linear(p[kV], keep.attention_norm);
  kernels::rope(pool_, n, config_.heads, config_.head_dim, rows.positions.data(), rope_.cos.data(),
                rope_.sin.data(), false, keep.q.data());
  kernels::rope(pool_, n, config_.kv_heads, config_.head_dim, rows.positions.data(), rope_.cos.data(),
                rope_.sin.data(), false, keep.k.data());
  keep.attention = Matrix(n, keep.q.cols);
  keep.max = Buffer(n * config_.heads);
  keep.sum = Buffer(n * config_.heads);
  kernels::attention(pool_, attention_shape(config_), documents(rows), rows.doc_starts.data(), keep.q.data(),
                     keep.k.data(), keep.v.data(), keep.attention.data(), keep.max.data(), keep.sum.data());
  return linear(p[kO], keep.attention);
}

Matrix LlamaLayer::forward(const Parameter* p, const data::Rows& rows, Matrix x,
                           LayerActivations& keep) const {
  const std::int64_t n = x.rows;
  keep.input = std::move(x);
  keep.middle = attend(p, rows, keep);
  kernels::add(pool_, n * config_.hidden, keep.input.data(), keep.middle.data(), keep.middle.data());
  keep.mlp_norm = Matrix(n, config_.hidden);
  keep.mlp_inv = Buffer(n);
  kernels::rmsnorm(pool_, n, config_.hidden, config_.rms_eps, keep.middle.data(), p[kPostNorm].value.data(),
                   keep.mlp_norm.data(), keep.mlp_inv.data());
  keep.gate = linear(p[kGate], keep.mlp_norm);
  keep.up = linear(p[kUp], keep.mlp_norm);
  keep.product = Matrix(n, config_.intermediate);
  kernels::swiglu(pool_, n * config_.intermediate, keep.gate.data(), keep.up.data(), keep.product.data());
  Matrix y = linear(p[kDown], keep.product);
  kernels::add(pool_, n * config_.hidden, keep.middle.data(), y.data(), y.data());
  return y;
}

Matrix LlamaLayer::attend_backward(Parameter* p, const data::Rows& rows, LayerActivations& kept,
                                   const Matrix& d_attention) const {
  const std::int64_t n = d_attention.rows;
  Matrix dq(n, kept.q.cols), dk(n, kept.k.cols), dv(n, kept.v.cols);
  kernels::attention_grad(pool_, attention_shape(config_), documents(rows), rows.doc_starts.data(),
                          kept.q.data(), kept.k.data(), kept.v.data(), kept.attention.data(), kept.max.data(),
                          kept.sum.data(), d_attention.data(), dq.data(), dk.data(), dv.data());
  kernels::rope(pool_, n, config_.heads, config_.head_dim, rows.positions.data(), rope_.cos.data(),
                rope_.sin.data(), true, dq.data());
  kernels::rope(pool_, n, config_.kv_heads, config_.head_dim, rows.positions.data(), rope_.cos.data(),
                rope_.sin.data(), true, dk.data());
  linear_gradient(p[kQ], rows, dq, kept.attention_norm);
  linear_gradient(p[kK], rows, dk, kept.attention_norm);
  linear_gradient(p[kV], rows, dv, kept.attention_norm);
  Matrix d_norm(n, config_.hidden);
  kernels::linear_grad_input(pool_, n, d_norm.cols, dq.cols, dq.data(), p[kQ].value.data(), d_norm.data(),
                             Into::kStore);
  kernels::linear_grad_input(pool_, n, d_norm.cols, dk.cols, dk.data(), p[kK].value.data(), d_norm.data(),
                             Into::kAdd);
  kernels::linear_grad_input(pool_, n, d_norm.cols, dv.cols, dv.data(), p[kV].value.data(), d_norm.data(),
                             Into::kAdd);
  return d_norm;
}

Matrix LlamaLayer::backward(Parameter* p, const data::Rows& rows, LayerActivations& kept, Matrix dy) const {
  const std::int64_t n = dy.rows, hidden = config_.hidden, inter = config_.intermediate;
  Matrix d_norm(n, hidden);
  {
    linear_gradient(p[kDown], rows, dy, kept.product);
    Matrix d_product(n, inter), d_gate(n, inter), d_up(n, inter);
    kernels::linear_grad_input(pool_, n, inter, hidden, dy.data(), p[kDown].value.data(), d_product.data(),
                               Into::kStore);
    kernels::swiglu_grad(pool_, n * inter, kept.gate.data(), kept.up.data(), d_product.data(), d_gate.data(),
                         d_up.data());
    linear_gradient(p[kGate], rows, d_gate, kept.mlp_norm);
    linear_gradient(p[kUp], rows, d_up, kept.mlp_norm);
    kernels::linear_grad_input(pool_, n, hidden, inter, d_gate.data(), p[kGate].value.data(), d_norm.data(),
                               Into::kStore);
    kernels::linear_grad_input(pool_, n, hidden, inter, d_up.data(), p[kUp].value.data(), d_norm.data(),
                               Into::kAdd);
    for (Matrix* used : {&kept.product, &kept.gate, &kept.up, &kept.mlp_norm}) *used = Matrix();
  }
  kernels::rmsnorm_grad_weight(pool_, rows.rows(), rows.row_starts.data(), hidden, kept.middle.data(),
                               kept.mlp_inv.data(), d_norm.data(), p[kPostNorm].gradient.data());
  // From here on dy is the gradient of middle: what came along the residual plus the norm's own.
  kernels::rmsnorm_grad_input(pool_, n, hidden, kept.middle.data(), p[kPostNorm].value.data(),
                              kept.mlp_inv.data(), d_norm.data(), dy.data(), Into::kAdd);
  linear_gradient(p[kO], rows, dy, kept.attention);
  Matrix d_attention(n, kept.attention.cols);
  kernels::linear_grad_input(pool_, n, d_attention.cols, hidden, dy.data(), p[kO].value.data(),
                             d_attention.data(), Into::kStore);
  d_norm = attend_backward(p, rows, kept, d_attention);
  kernels::rmsnorm_grad_weight(pool_, rows.rows(), rows.row_starts.data(), hidden, kept.input.data(),
                               kept.attention_inv.data(), d_norm.data(), p[kInputNorm].gradient.data());
  kernels::rmsnorm_grad_input(pool_, n, hidden, kept.input.data(), p[kInputNorm].value.data(),
                              kept.attention_inv.data(), d_norm.data(), dy.data(), Into::kAdd);
  return dy;
}

}  // namespace aftune::model
