#include "model/llama_layer.h"

#include <cmath>

#include "kernels/ops.h"

namespace aftune::model {
namespace {

using kernels::Into;

// Positions of a layer's parameters in its unit (unit_tensors).
enum Slot { kInputNorm, kQ, kK, kV, kO, kPostNorm, kGate, kUp, kDown };

std::int64_t documents(const data::Rows& rows) {
  return static_cast<std::int64_t>(rows.doc_starts.size()) - 1;
}

ByteView bytes_of(const std::vector<std::int32_t>& list) {
  return std::as_bytes(std::span(list));
}

Weight matrix_of(const Parameter& p) {
  return {p.spec.name, p.value, p.spec.shape[0], p.spec.shape[1]};
}

template <class... Used>
void release(Used&... used) {
  ((used = Used()), ...);
}

}  // namespace

kernels::AttentionShape attention_shape(const Config& config) {
  // Square root and division round correctly everywhere, so std::sqrt is safe here.
  const double scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim));
  return {config.heads, config.kv_heads, config.head_dim, static_cast<float>(scale)};
}

Matrix LlamaLayer::forward(const Parameter* p, const data::Rows& rows, Matrix x,
                           LayerActivations& keep) const {
  keep.input = std::move(x);
  queries_keys_values(p, rows, keep);
  attend(p, rows, keep);
  return after_attention(p, keep);
}

Matrix LlamaLayer::infer(const Parameter* p, const data::Rows& rows, Matrix x,
                         std::span<KvCache* const> caches, int layer) const {
  LayerActivations keep;
  keep.input = std::move(x);
  queries_keys_values(p, rows, keep);
  attend_to(caches, layer, rows, keep);
  return after_attention(p, keep);
}

void LlamaLayer::queries_keys_values(const Parameter* p, const data::Rows& rows,
                                     LayerActivations& keep) const {
  keep.attention_norm = norm(p[kInputNorm], keep.input, keep.attention_inv);
  {
    Products::Input x(products_, keep.attention_norm);
    keep.q = products_.linear(matrix_of(p[kQ]), x);
    keep.k = products_.linear(matrix_of(p[kK]), x);
    keep.v = products_.linear(matrix_of(p[kV]), x);
  }
  rotate(p[kQ], rows, false, keep.q);
  rotate(p[kK], rows, false, keep.k);
}

void LlamaLayer::attend(const Parameter* p, const data::Rows& rows, LayerActivations& keep) const {
  const std::int64_t n = keep.q.rows;
  keep.attention = Matrix(n, keep.q.cols);
  keep.max = Buffer(n * config_.heads);
  keep.sum = Buffer(n * config_.heads);
  observed(ops_, {OpKind::kAttention, p[kO].spec.name, n},
           {bytes_of(rows.positions), keep.q.bytes(), keep.k.bytes(), keep.v.bytes()},
           {keep.attention.bytes(), keep.max.bytes(), keep.sum.bytes()}, [&] {
             kernels::attention(pool_, attention_shape(config_), documents(rows), rows.doc_starts.data(),
                                keep.q.data(), keep.k.data(), keep.v.data(), keep.attention.data(),
                                keep.max.data(), keep.sum.data());
           });
}

void LlamaLayer::attend_to(std::span<KvCache* const> caches, int layer, const data::Rows& rows,
                           LayerActivations& keep) const {
  std::vector<kernels::AttentionContinuation> parts;
  for (std::size_t i = 0; i < caches.size(); ++i) {
    KvCache& cache = *caches[i];
    const std::int64_t row = rows.doc_starts[i], count = rows.doc_starts[i + 1] - row;
    cache.append(layer, count, keep.k.row(row), keep.v.row(row));
    parts.push_back({row, count, cache.length(), cache.keys(layer), cache.values(layer)});
  }
  const std::int64_t n = keep.q.rows;
  keep.attention = Matrix(n, keep.q.cols);
  keep.max = Buffer(n * config_.heads);
  keep.sum = Buffer(n * config_.heads);
  kernels::attention_continued(pool_, attention_shape(config_), parts, keep.q.data(), keep.attention.data(),
                               keep.max.data(), keep.sum.data());
}

Matrix LlamaLayer::after_attention(const Parameter* p, LayerActivations& keep) const {
  {
    Products::Input heads(products_, keep.attention);
    keep.middle = products_.linear(matrix_of(p[kO]), heads);
  }
  add(p[kO], keep.input, keep.middle);
  Matrix y = mlp_branch(p, keep);
  add(p[kDown], keep.middle, y);
  return y;
}

Matrix LlamaLayer::mlp_branch(const Parameter* p, LayerActivations& keep) const {
  keep.mlp_norm = norm(p[kPostNorm], keep.middle, keep.mlp_inv);
  {
    Products::Input x(products_, keep.mlp_norm);
    keep.gate = products_.linear(matrix_of(p[kGate]), x);
    keep.up = products_.linear(matrix_of(p[kUp]), x);
  }
  keep.product = Matrix(keep.gate.rows, keep.gate.cols);
  observed(ops_, {OpKind::kSwiglu, p[kDown].spec.name, keep.gate.rows}, {keep.gate.bytes(), keep.up.bytes()},
           {keep.product.bytes()}, [&] {
             kernels::swiglu(pool_, keep.gate.values.size(), keep.gate.data(), keep.up.data(),
                             keep.product.data());
           });
  Products::Input product(products_, keep.product);
  return products_.linear(matrix_of(p[kDown]), product);
}

Matrix LlamaLayer::backward(Parameter* p, const data::Rows& rows, LayerActivations kept, Matrix dy) const {
  // `gradient` is that of y, then of middle, then of x: the residual passes it on, each branch adds its own.
  Matrix gradient = std::move(dy);
  mlp_backward(p, rows, kept, gradient);
  attention_backward(p, rows, kept, gradient);
  return gradient;
}

void LlamaLayer::mlp_backward(Parameter* p, const data::Rows& rows, LayerActivations& kept,
                              Matrix& gradient) const {
  weights_backward(rows, kept.product, {{p[kDown], gradient}});
  Matrix& d_product = kept.product;  // no longer needed: its memory takes its gradient
  products_.grad_input(matrix_of(p[kDown]), gradient, d_product, Into::kStore);
  Matrix &d_gate = kept.gate, &d_up = kept.up;
  observed(ops_, {OpKind::kSwigluGrad, p[kDown].spec.name, d_gate.rows},
           {kept.gate.bytes(), kept.up.bytes(), d_product.bytes()}, {d_gate.bytes(), d_up.bytes()}, [&] {
             kernels::swiglu_grad(pool_, d_gate.values.size(), kept.gate.data(), kept.up.data(),
                                  d_product.data(), d_gate.data(), d_up.data());
           });
  release(kept.product);
  weights_backward(rows, kept.mlp_norm, {{p[kGate], d_gate}, {p[kUp], d_up}});
  Matrix& d_norm = kept.mlp_norm;
  products_.grad_input(matrix_of(p[kGate]), d_gate, d_norm, Into::kStore);
  products_.grad_input(matrix_of(p[kUp]), d_up, d_norm, Into::kAdd);
  norm_backward(p[kPostNorm], rows, kept.middle, kept.mlp_inv, d_norm, gradient);
  release(kept.mlp_norm, kept.middle, kept.gate, kept.up);
}

void LlamaLayer::attention_backward(Parameter* p, const data::Rows& rows, LayerActivations& kept,
                                    Matrix& gradient) const {
  weights_backward(rows, kept.attention, {{p[kO], gradient}});
  Matrix d_attention(kept.attention.rows, kept.attention.cols);
  products_.grad_input(matrix_of(p[kO]), gradient, d_attention, Into::kStore);
  Matrix dq(kept.q.rows, kept.q.cols), dk(kept.k.rows, kept.k.cols), dv(kept.v.rows, kept.v.cols);
  observed(ops_, {OpKind::kAttentionGrad, p[kO].spec.name, dq.rows},
           {bytes_of(rows.positions), kept.q.bytes(), kept.k.bytes(), kept.v.bytes(), kept.attention.bytes(),
            kept.max.bytes(), kept.sum.bytes(), d_attention.bytes()},
           {dq.bytes(), dk.bytes(), dv.bytes()}, [&] {
             kernels::attention_grad(pool_, attention_shape(config_), documents(rows), rows.doc_starts.data(),
                                     kept.q.data(), kept.k.data(), kept.v.data(), kept.attention.data(),
                                     kept.max.data(), kept.sum.data(), d_attention.data(), dq.data(),
                                     dk.data(), dv.data());
           });
  release(d_attention, kept.attention, kept.q, kept.k, kept.v);
  rotate(p[kQ], rows, true, dq);
  rotate(p[kK], rows, true, dk);
  weights_backward(rows, kept.attention_norm, {{p[kQ], dq}, {p[kK], dk}, {p[kV], dv}});
  Matrix& d_norm = kept.attention_norm;
  products_.grad_input(matrix_of(p[kQ]), dq, d_norm, Into::kStore);
  products_.grad_input(matrix_of(p[kK]), dk, d_norm, Into::kAdd);
  products_.grad_input(matrix_of(p[kV]), dv, d_norm, Into::kAdd);
  norm_backward(p[kInputNorm], rows, kept.input, kept.attention_inv, d_norm, gradient);
}

Matrix LlamaLayer::norm(const Parameter& weight, const Matrix& x, Buffer& inv_rms) const {
  Matrix y(x.rows, x.cols);
  inv_rms = Buffer(x.rows);
  observed(ops_, {OpKind::kRmsNorm, weight.spec.name, x.rows}, {x.bytes(), weight.value.bytes()},
           {y.bytes(), inv_rms.bytes()}, [&] {
             kernels::rmsnorm(pool_, x.rows, x.cols, config_.rms_eps, x.data(), weight.value.data(), y.data(),
                              inv_rms.data());
           });
  return y;
}

// dx gets the gradient added to what it holds.
void LlamaLayer::norm_backward(Parameter& weight, const data::Rows& rows, const Matrix& x,
                               const Buffer& inv_rms, const Matrix& dy, Matrix& dx) const {
  observed(ops_, {OpKind::kRmsNormGradWeight, weight.spec.name, x.rows},
           {x.bytes(), inv_rms.bytes(), dy.bytes(), weight.gradient.bytes()}, {weight.gradient.bytes()}, [&] {
             kernels::rmsnorm_grad_weight(pool_, rows.rows(), rows.row_starts.data(), x.cols, x.data(),
                                          inv_rms.data(), dy.data(), weight.gradient.data());
           });
  observed(ops_, {OpKind::kRmsNormGradInput, weight.spec.name, x.rows},
           {x.bytes(), weight.value.bytes(), inv_rms.bytes(), dy.bytes(), dx.bytes()}, {dx.bytes()}, [&] {
             kernels::rmsnorm_grad_input(pool_, x.rows, x.cols, x.data(), weight.value.data(), inv_rms.data(),
                                         dy.data(), dx.data(), Into::kAdd);
           });
}

// x is what the products with these matrices read, each dy the gradient of what came out.
void LlamaLayer::weights_backward(const data::Rows& rows, const Matrix& x,
                                  std::initializer_list<WeightAndGradient> products) const {
  Products::Input input(products_, x);
  for (const WeightAndGradient& product : products)
    products_.grad_weight(matrix_of(product.parameter), rows.row_starts, product.dy, input,
                          product.parameter.gradient);
}

// `weight` is that of the product that x comes from.
void LlamaLayer::rotate(const Parameter& weight, const data::Rows& rows, bool inverse, Matrix& x) const {
  observed(ops_, {inverse ? OpKind::kRopeGrad : OpKind::kRope, weight.spec.name, x.rows},
           {bytes_of(rows.positions), x.bytes()}, {x.bytes()}, [&] {
             kernels::rope(pool_, x.rows, x.cols / config_.head_dim, config_.head_dim, rows.positions.data(),
                           rope_.cos(), rope_.sin(), inverse, x.data());
           });
}

// Adds the residual to the branch that ends in `weight`.
void LlamaLayer::add(const Parameter& weight, const Matrix& x, Matrix& branch) const {
  observed(ops_, {OpKind::kAdd, weight.spec.name, x.rows}, {x.bytes(), branch.bytes()}, {branch.bytes()},
           [&] { kernels::add(pool_, x.values.size(), x.data(), branch.data(), branch.data()); });
}

}  // namespace aftune::model
