#include "model/llama_layer.h"

#include <cmath>

#include "base/error.h"
#include "kernels/ops.h"

namespace aftune::model {
namespace {

using kernels::Into;

using enum Projection;

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

LayerSlots::LayerSlots(const Config& config) {
  const std::vector<TensorSpec> specs = unit_tensors(config, 1);
  const auto find = [&](std::string_view name, std::string_view kind) {
    const std::string whole = cat("model.layers.0.", name, '.', kind);
    for (std::size_t i = 0; i < specs.size(); ++i)
      if (specs[i].name == whole) return static_cast<int>(i);
    return -1;
  };
  for (std::size_t i = 0; i < kProjections; ++i) {
    weight[i] = find(kProjectionNames[i], "weight");
    bias[i] = find(kProjectionNames[i], "bias");
  }
  input_norm = find("input_layernorm", "weight");
  post_norm = find("post_attention_layernorm", "weight");
  q_norm = find("self_attn.q_norm", "weight");
  k_norm = find("self_attn.k_norm", "weight");
}

int heads_of_norm(const Config& config, std::string_view weight) {
  if (weight.ends_with(".self_attn.q_norm.weight")) return config.heads;
  return weight.ends_with(".self_attn.k_norm.weight") ? config.kv_heads : 1;
}

kernels::AttentionShape attention_shape(const Config& config) {
  // Square root and division round correctly everywhere, so std::sqrt is safe here.
  const double scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim));
  return {config.heads, config.kv_heads, config.head_dim, static_cast<float>(scale)};
}

Matrix LlamaLayer::forward(const LayerTensors& p, const data::Rows& rows, Matrix x,
                           LayerActivations& keep) const {
  keep.input = std::move(x);
  queries_keys_values(p, rows, keep);
  attend(p, rows, keep);
  return after_attention(p, rows, keep);
}

Matrix LlamaLayer::infer(const LayerTensors& p, const data::Rows& rows, Matrix x,
                         std::span<KvCache* const> caches, int layer) const {
  LayerActivations keep;
  keep.training = false;
  keep.input = std::move(x);
  queries_keys_values(p, rows, keep);
  attend_to(caches, layer, rows, keep);
  return after_attention(p, rows, keep);
}

void LlamaLayer::queries_keys_values(const LayerTensors& p, const data::Rows& rows,
                                     LayerActivations& keep) const {
  keep.attention_norm = norm(p.base[slots_.input_norm], keep.input, keep.attention_inv);
  {
    Products::Input x(products_, keep.attention_norm);
    keep.q = project(p, kQ, rows, x, keep);
    keep.k = project(p, kK, rows, x, keep);
    keep.v = project(p, kV, rows, x, keep);
  }
  if (config_.head_norms) {
    norm_heads(p.base[slots_.q_norm], keep.q, keep.q_heads, keep.q_inv);
    norm_heads(p.base[slots_.k_norm], keep.k, keep.k_heads, keep.k_inv);
  }
  rotate(weight(p, kQ), rows, false, keep.q);
  rotate(weight(p, kK), rows, false, keep.k);
}

Matrix LlamaLayer::project(const LayerTensors& p, Which which, const data::Rows& rows, Products::Input& x,
                           LayerActivations& keep) const {
  Matrix y = products_.linear(matrix_of(weight(p, which)), x);
  if (const int bias = slots_.bias[place(which)]; bias >= 0) add_bias(p.base[bias], y);
  if (adapters_.has(which))
    adapters_.forward(p.adapters, which, {rows, p.layer, keep.training}, x.matrix(), y,
                      keep.inner[place(which)]);
  return y;
}

void LlamaLayer::attend(const LayerTensors& p, const data::Rows& rows, LayerActivations& keep) const {
  const std::int64_t n = keep.q.rows;
  keep.attention = Matrix(n, keep.q.cols);
  keep.max = Buffer(n * config_.heads);
  keep.sum = Buffer(n * config_.heads);
  observed(ops_, {OpKind::kAttention, weight(p, kO).spec.name, n},
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
    cache.append(pool_, layer, count, keep.k.row(row), keep.v.row(row));
    parts.push_back({row, count, cache.length(), cache.keys(layer), cache.values(layer)});
  }
  const std::int64_t n = keep.q.rows;
  keep.attention = Matrix(n, keep.q.cols);
  keep.max = Buffer(n * config_.heads);
  keep.sum = Buffer(n * config_.heads);
  kernels::attention_continued(pool_, attention_shape(config_), parts, keep.q.data(), keep.attention.data(),
                               keep.max.data(), keep.sum.data());
}

Matrix LlamaLayer::after_attention(const LayerTensors& p, const data::Rows& rows,
                                   LayerActivations& keep) const {
  {
    Products::Input heads(products_, keep.attention);
    keep.middle = project(p, kO, rows, heads, keep);
  }
  add(weight(p, kO), keep.input, keep.middle);
  Matrix y = mlp_branch(p, rows, keep);
  add(weight(p, kDown), keep.middle, y);
  return y;
}

Matrix LlamaLayer::mlp_branch(const LayerTensors& p, const data::Rows& rows, LayerActivations& keep) const {
  keep.mlp_norm = norm(p.base[slots_.post_norm], keep.middle, keep.mlp_inv);
  {
    Products::Input x(products_, keep.mlp_norm);
    keep.gate = project(p, kGate, rows, x, keep);
    keep.up = project(p, kUp, rows, x, keep);
  }
  keep.product = Matrix(keep.gate.rows, keep.gate.cols);
  observed(ops_, {OpKind::kSwiglu, weight(p, kDown).spec.name, keep.gate.rows},
           {keep.gate.bytes(), keep.up.bytes()}, {keep.product.bytes()}, [&] {
             kernels::swiglu(pool_, keep.gate.values.size(), keep.gate.data(), keep.up.data(),
                             keep.product.data());
           });
  Products::Input product(products_, keep.product);
  return project(p, kDown, rows, product, keep);
}

Matrix LlamaLayer::backward(const LayerTensors& p, const data::Rows& rows, LayerActivations kept,
                            Matrix dy) const {
  // `gradient` is that of y, then of middle, then of x: the residual passes it on, each branch adds its own.
  Matrix gradient = std::move(dy);
  mlp_backward(p, rows, kept, gradient);
  attention_backward(p, rows, kept, gradient);
  return gradient;
}

void LlamaLayer::mlp_backward(const LayerTensors& p, const data::Rows& rows, LayerActivations& kept,
                              Matrix& gradient) const {
  weights_backward(p, rows, kept.product, {{kDown, gradient}}, kept);
  Matrix& d_product = kept.product;  // no longer needed: its memory takes its gradient
  inputs_backward(p, rows, {{kDown, gradient}}, kept, d_product);
  Matrix &d_gate = kept.gate, &d_up = kept.up;
  observed(ops_, {OpKind::kSwigluGrad, weight(p, kDown).spec.name, d_gate.rows},
           {kept.gate.bytes(), kept.up.bytes(), d_product.bytes()}, {d_gate.bytes(), d_up.bytes()}, [&] {
             kernels::swiglu_grad(pool_, d_gate.values.size(), kept.gate.data(), kept.up.data(),
                                  d_product.data(), d_gate.data(), d_up.data());
           });
  release(kept.product);
  weights_backward(p, rows, kept.mlp_norm, {{kGate, d_gate}, {kUp, d_up}}, kept);
  Matrix& d_norm = kept.mlp_norm;
  inputs_backward(p, rows, {{kGate, d_gate}, {kUp, d_up}}, kept, d_norm);
  norm_backward(p.base[slots_.post_norm], p.frozen(), rows, kept.middle, kept.mlp_inv, d_norm, gradient);
  release(kept.mlp_norm, kept.middle, kept.gate, kept.up);
}

void LlamaLayer::attention_backward(const LayerTensors& p, const data::Rows& rows, LayerActivations& kept,
                                    Matrix& gradient) const {
  weights_backward(p, rows, kept.attention, {{kO, gradient}}, kept);
  Matrix d_attention(kept.attention.rows, kept.attention.cols);
  inputs_backward(p, rows, {{kO, gradient}}, kept, d_attention);
  Matrix dq(kept.q.rows, kept.q.cols), dk(kept.k.rows, kept.k.cols), dv(kept.v.rows, kept.v.cols);
  observed(ops_, {OpKind::kAttentionGrad, weight(p, kO).spec.name, dq.rows},
           {bytes_of(rows.positions), kept.q.bytes(), kept.k.bytes(), kept.v.bytes(), kept.attention.bytes(),
            kept.max.bytes(), kept.sum.bytes(), d_attention.bytes()},
           {dq.bytes(), dk.bytes(), dv.bytes()}, [&] {
             kernels::attention_grad(pool_, attention_shape(config_), documents(rows), rows.doc_starts.data(),
                                     kept.q.data(), kept.k.data(), kept.v.data(), kept.attention.data(),
                                     kept.max.data(), kept.sum.data(), d_attention.data(), dq.data(),
                                     dk.data(), dv.data());
           });
  release(d_attention, kept.attention, kept.q, kept.k, kept.v);
  rotate(weight(p, kQ), rows, true, dq);
  rotate(weight(p, kK), rows, true, dk);
  if (config_.head_norms) {
    norm_heads_backward(p.base[slots_.q_norm], p.frozen(), rows, kept.q_heads, kept.q_inv, dq);
    norm_heads_backward(p.base[slots_.k_norm], p.frozen(), rows, kept.k_heads, kept.k_inv, dk);
    release(kept.q_heads, kept.k_heads);
  }
  weights_backward(p, rows, kept.attention_norm, {{kQ, dq}, {kK, dk}, {kV, dv}}, kept);
  Matrix& d_norm = kept.attention_norm;
  inputs_backward(p, rows, {{kQ, dq}, {kK, dk}, {kV, dv}}, kept, d_norm);
  norm_backward(p.base[slots_.input_norm], p.frozen(), rows, kept.input, kept.attention_inv, d_norm,
                gradient);
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
void LlamaLayer::norm_backward(Parameter& weight, bool frozen, const data::Rows& rows, const Matrix& x,
                               const Buffer& inv_rms, const Matrix& dy, Matrix& dx) const {
  if (!frozen)
    observed(ops_, {OpKind::kRmsNormGradWeight, weight.spec.name, x.rows},
             {x.bytes(), inv_rms.bytes(), dy.bytes(), weight.gradient.bytes()}, {weight.gradient.bytes()},
             [&] {
               kernels::rmsnorm_grad_weight(pool_, rows.rows(), rows.row_starts.data(), x.cols, x.data(),
                                            inv_rms.data(), dy.data(), weight.gradient.data());
             });
  observed(ops_, {OpKind::kRmsNormGradInput, weight.spec.name, x.rows},
           {x.bytes(), weight.value.bytes(), inv_rms.bytes(), dy.bytes(), dx.bytes()}, {dx.bytes()}, [&] {
             kernels::rmsnorm_grad_input(pool_, x.rows, x.cols, x.data(), weight.value.data(), inv_rms.data(),
                                         dy.data(), dx.data(), Into::kAdd);
           });
}

// x is what the projections read, each dy the gradient of what came out of one.
void LlamaLayer::weights_backward(const LayerTensors& p, const data::Rows& rows, const Matrix& x,
                                  std::initializer_list<Branch> branches, LayerActivations& kept) const {
  Products::Input input(products_, x);
  for (const auto& [which, dy] : branches) {
    if (adapters_.has(which))
      adapters_.weights_backward(p.adapters, which, {rows, p.layer, kept.training}, x, dy,
                                 kept.inner[place(which)]);
    if (p.frozen()) continue;
    Parameter& weight = p.base[slots_.weight[place(which)]];
    products_.grad_weight(matrix_of(weight), rows.row_starts, dy, input, weight.gradient);
    if (const int bias = slots_.bias[place(which)]; bias >= 0) bias_backward(p.base[bias], rows, dy);
  }
}

// dx becomes the gradient of what the projections read.
void LlamaLayer::inputs_backward(const LayerTensors& p, const data::Rows& rows,
                                 std::initializer_list<Branch> branches, LayerActivations& kept,
                                 Matrix& dx) const {
  Into into = Into::kStore;
  for (const auto& [which, dy] : branches) {
    products_.grad_input(matrix_of(weight(p, which)), dy, dx, into);
    if (adapters_.has(which))
      adapters_.input_backward(p.adapters, which, {rows, p.layer, kept.training}, kept.inner[place(which)],
                               dx);
    into = Into::kAdd;
  }
}

void LlamaLayer::add_bias(const Parameter& bias, Matrix& x) const {
  observed(ops_, {OpKind::kAddBias, bias.spec.name, x.rows}, {x.bytes(), bias.value.bytes()}, {x.bytes()},
           [&] { kernels::add_bias(pool_, x.rows, x.cols, bias.value.data(), x.data()); });
}

void LlamaLayer::bias_backward(Parameter& bias, const data::Rows& rows, const Matrix& dy) const {
  observed(ops_, {OpKind::kBiasGrad, bias.spec.name, dy.rows}, {dy.bytes(), bias.gradient.bytes()},
           {bias.gradient.bytes()}, [&] {
             kernels::bias_grad(pool_, rows.rows(), rows.row_starts.data(), dy.cols, dy.data(),
                                bias.gradient.data());
           });
}

// The norm of each head: x [n, heads * head_dim] are n * heads rows of head_dim. What it was goes into
// `before`.
void LlamaLayer::norm_heads(const Parameter& weight, Matrix& x, Matrix& before, Buffer& inv_rms) const {
  const std::int64_t dim = config_.head_dim, heads = x.cols / dim;
  before = std::move(x);
  x = Matrix(before.rows, before.cols);
  inv_rms = Buffer(before.rows * heads);
  observed(ops_, {OpKind::kRmsNorm, weight.spec.name, x.rows}, {before.bytes(), weight.value.bytes()},
           {x.bytes(), inv_rms.bytes()}, [&] {
             kernels::rmsnorm(pool_, before.rows * heads, dim, config_.rms_eps, before.data(),
                              weight.value.data(), x.data(), inv_rms.data());
           });
}

// dx is the gradient of what the norm gave and becomes that of what it took. A row's chain runs over its
// tokens, in each over its heads.
void LlamaLayer::norm_heads_backward(Parameter& weight, bool frozen, const data::Rows& rows,
                                     const Matrix& before, const Buffer& inv_rms, Matrix& dx) const {
  const std::int64_t dim = config_.head_dim, heads = dx.cols / dim;
  const Matrix dy = std::exchange(dx, Matrix(dx.rows, dx.cols));
  std::vector<std::int64_t> starts = rows.row_starts;
  for (std::int64_t& start : starts) start *= heads;
  if (!frozen)
    observed(ops_, {OpKind::kRmsNormGradWeight, weight.spec.name, dy.rows},
             {before.bytes(), inv_rms.bytes(), dy.bytes(), weight.gradient.bytes()},
             {weight.gradient.bytes()}, [&] {
               kernels::rmsnorm_grad_weight(pool_, rows.rows(), starts.data(), dim, before.data(),
                                            inv_rms.data(), dy.data(), weight.gradient.data());
             });
  observed(ops_, {OpKind::kRmsNormGradInput, weight.spec.name, dy.rows},
           {before.bytes(), weight.value.bytes(), inv_rms.bytes(), dy.bytes()}, {dx.bytes()}, [&] {
             kernels::rmsnorm_grad_input(pool_, dy.rows * heads, dim, before.data(), weight.value.data(),
                                         inv_rms.data(), dy.data(), dx.data(), Into::kStore);
           });
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
