#include "model/llama.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "kernels/ops.h"
#include "model/architecture.h"
#include "model/lm_head.h"

namespace aftune::model {
namespace {

using kernels::Into;

using enum Projection;

TensorSpec spec(std::string name, Shape shape) {
  return {std::move(name), DType::kF32, std::move(shape)};
}

std::vector<TensorSpec> layer_tensors(const Config& c, const std::string& at) {
  const std::int64_t q = std::int64_t{c.heads} * c.head_dim, kv = std::int64_t{c.kv_heads} * c.head_dim;
  std::vector<TensorSpec> list = {spec(at + "input_layernorm.weight", {c.hidden})};
  for (const auto& [name, width] : {std::pair("q_proj", q), {"k_proj", kv}, {"v_proj", kv}}) {
    list.push_back(spec(cat(at, "self_attn.", name, ".weight"), {width, c.hidden}));
    if (c.qkv_bias) list.push_back(spec(cat(at, "self_attn.", name, ".bias"), {width}));
  }
  list.push_back(spec(at + "self_attn.o_proj.weight", {c.hidden, q}));
  if (c.head_norms) {
    list.push_back(spec(at + "self_attn.q_norm.weight", {c.head_dim}));
    list.push_back(spec(at + "self_attn.k_norm.weight", {c.head_dim}));
  }
  list.push_back(spec(at + "post_attention_layernorm.weight", {c.hidden}));
  list.push_back(spec(at + "mlp.gate_proj.weight", {c.intermediate, c.hidden}));
  list.push_back(spec(at + "mlp.up_proj.weight", {c.intermediate, c.hidden}));
  list.push_back(spec(at + "mlp.down_proj.weight", {c.hidden, c.intermediate}));
  return list;
}

std::vector<TensorSpec> llama_tensors(const Config& c, int unit) {
  if (unit == 0) return {spec("model.embed_tokens.weight", {c.vocab, c.hidden})};
  if (unit <= c.layers) return layer_tensors(c, cat(kLlama.layers, unit - 1, '.'));
  std::vector<TensorSpec> head = {spec("model.norm.weight", {c.hidden})};
  if (!c.tied) head.push_back(spec("lm_head.weight", {c.vocab, c.hidden}));
  return head;
}

kernels::OpUses llama_ops(const Config& c) {
  return {.biases = c.qkv_bias};
}

Stages llama_stages(const StageContext& with) {
  return {std::make_unique<TokenEmbedding>(with), std::make_unique<LlamaLayer>(with),
          std::make_unique<LmHead>(with, std::make_unique<RmsNorm>(with))};
}

double llama_kept(const Config& c) {
  const double q = static_cast<double>(c.heads) * c.head_dim,
               kv = static_cast<double>(c.kv_heads) * c.head_dim;
  const double head_norms = c.head_norms ? q + kv + c.heads + c.kv_heads : 0;
  return 4.0 * static_cast<double>(c.hidden) + 2 * q + 2 * kv + head_norms +
         3.0 * static_cast<double>(c.intermediate) + 2.0 * c.heads + 2;
}

}  // namespace

const Architecture kLlama = {
    .prefix = "",
    .layers = "model.layers.",
    .projections = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                    "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", ""},
    .targets = "q,v",
    .tables = {"model.embed_tokens.weight", "lm_head.weight"},
    .read_config = read_llama_config,
    .unit_tensors = llama_tensors,
    .op_uses = llama_ops,
    .make_stages = llama_stages,
    .kept_of_token = llama_kept,
};

int heads_of_norm(const Config& config, std::string_view weight) {
  if (weight.ends_with(".self_attn.q_norm.weight")) return config.heads;
  return weight.ends_with(".self_attn.k_norm.weight") ? config.kv_heads : 1;
}

LlamaLayer::LlamaLayer(const StageContext& with)
    : with_(with),
      projections_(with),
      attention_(with),
      norm_(with),
      rope_(with.config),
      input_norm_(slot_in_layer(with.config, "input_layernorm.weight")),
      post_norm_(slot_in_layer(with.config, "post_attention_layernorm.weight")),
      q_norm_(slot_in_layer(with.config, "self_attn.q_norm.weight")),
      k_norm_(slot_in_layer(with.config, "self_attn.k_norm.weight")) {}

Layer::Result LlamaLayer::forward(const LayerTensors& p, const data::Rows& rows, Matrix x, bool training) {
  auto keep = std::make_unique<LlamaActivations>();
  keep->training = training;
  keep->input = std::move(x);
  queries_keys_values(p, rows, *keep);
  attention_.forward(projections_.weight(p, kO).spec.name, rows, keep->attention);
  Matrix y = after_attention(p, rows, *keep);
  return {std::move(y), std::move(keep)};
}

Matrix LlamaLayer::infer(const LayerTensors& p, const data::Rows& rows, Matrix x,
                         std::span<KvCache* const> caches, int layer) {
  LlamaActivations keep;
  keep.training = false;
  keep.input = std::move(x);
  queries_keys_values(p, rows, keep);
  attention_.continued(caches, layer, rows, keep.attention);
  return after_attention(p, rows, keep);
}

void LlamaLayer::queries_keys_values(const LayerTensors& p, const data::Rows& rows, LlamaActivations& keep) {
  if (!rows.positions.empty())
    rope_.cover(with_.pool, 1 + *std::max_element(rows.positions.begin(), rows.positions.end()));
  Matrix &q = keep.attention.q, &k = keep.attention.k;
  keep.attention_norm = norm_.forward(&p.base[input_norm_], keep.input, keep.input_norm);
  {
    Products::Input x(with_.products, keep.attention_norm);
    q = projections_.forward(p, kQ, rows, x, keep);
    k = projections_.forward(p, kK, rows, x, keep);
    keep.attention.v = projections_.forward(p, kV, rows, x, keep);
  }
  if (with_.config.head_norms) {
    norm_heads(p.base[q_norm_], q, keep.q_heads, keep.q_norm);
    norm_heads(p.base[k_norm_], k, keep.k_heads, keep.k_norm);
  }
  rotate(projections_.weight(p, kQ), rows, false, q);
  rotate(projections_.weight(p, kK), rows, false, k);
}

Matrix LlamaLayer::after_attention(const LayerTensors& p, const data::Rows& rows,
                                   LlamaActivations& keep) const {
  {
    Products::Input heads(with_.products, keep.attention.out);
    keep.middle = projections_.forward(p, kO, rows, heads, keep);
  }
  add_residual(with_, projections_.weight(p, kO), keep.input, keep.middle);
  Matrix y = mlp_branch(p, rows, keep);
  add_residual(with_, projections_.weight(p, kDown), keep.middle, y);
  return y;
}

Matrix LlamaLayer::mlp_branch(const LayerTensors& p, const data::Rows& rows, LlamaActivations& keep) const {
  keep.mlp_norm = norm_.forward(&p.base[post_norm_], keep.middle, keep.middle_norm);
  {
    Products::Input x(with_.products, keep.mlp_norm);
    keep.gate = projections_.forward(p, kGate, rows, x, keep);
    keep.up = projections_.forward(p, kUp, rows, x, keep);
  }
  keep.product = Matrix(keep.gate.rows, keep.gate.cols);
  observed(with_.ops, {OpKind::kSwiglu, projections_.weight(p, kDown).spec.name, keep.gate.rows},
           {keep.gate.bytes(), keep.up.bytes()}, {keep.product.bytes()}, [&] {
             kernels::swiglu(with_.pool, keep.gate.values.size(), keep.gate.data(), keep.up.data(),
                             keep.product.data());
           });
  Products::Input product(with_.products, keep.product);
  return projections_.forward(p, kDown, rows, product, keep);
}

Matrix LlamaLayer::backward(const LayerTensors& p, const data::Rows& rows,
                            std::unique_ptr<LayerActivations> kept, Matrix dy) {
  // `gradient` is that of y, then of middle, then of x: the residual passes it on, each branch adds its own.
  Matrix gradient = std::move(dy);
  auto& own = static_cast<LlamaActivations&>(*kept);
  mlp_backward(p, rows, own, gradient);
  attention_backward(p, rows, own, gradient);
  return gradient;
}

void LlamaLayer::mlp_backward(const LayerTensors& p, const data::Rows& rows, LlamaActivations& kept,
                              Matrix& gradient) const {
  projections_.weights_backward(p, rows, kept.product, {{kDown, gradient}}, kept);
  Matrix& d_product = kept.product;  // no longer needed: its memory takes its gradient
  projections_.inputs_backward(p, rows, {{kDown, gradient}}, kept, d_product);
  Matrix &d_gate = kept.gate, &d_up = kept.up;
  observed(with_.ops, {OpKind::kSwigluGrad, projections_.weight(p, kDown).spec.name, d_gate.rows},
           {kept.gate.bytes(), kept.up.bytes(), d_product.bytes()}, {d_gate.bytes(), d_up.bytes()}, [&] {
             kernels::swiglu_grad(with_.pool, d_gate.values.size(), kept.gate.data(), kept.up.data(),
                                  d_product.data(), d_gate.data(), d_up.data());
           });
  release(kept.product);
  projections_.weights_backward(p, rows, kept.mlp_norm, {{kGate, d_gate}, {kUp, d_up}}, kept);
  Matrix& d_norm = kept.mlp_norm;
  projections_.inputs_backward(p, rows, {{kGate, d_gate}, {kUp, d_up}}, kept, d_norm);
  norm_.backward(&p.base[post_norm_], p.frozen(), rows, kept.middle, kept.middle_norm, d_norm, gradient,
                 Into::kAdd);
  release(kept.mlp_norm, kept.middle, kept.gate, kept.up);
}

void LlamaLayer::attention_backward(const LayerTensors& p, const data::Rows& rows, LlamaActivations& kept,
                                    Matrix& gradient) const {
  projections_.weights_backward(p, rows, kept.attention.out, {{kO, gradient}}, kept);
  Matrix d_out(kept.attention.out.rows, kept.attention.out.cols);
  projections_.inputs_backward(p, rows, {{kO, gradient}}, kept, d_out);
  Attention::Gradients d =
      attention_.backward(projections_.weight(p, kO).spec.name, rows, kept.attention, std::move(d_out));
  rotate(projections_.weight(p, kQ), rows, true, d.q);
  rotate(projections_.weight(p, kK), rows, true, d.k);
  if (with_.config.head_norms) {
    norm_heads_backward(p.base[q_norm_], p.frozen(), rows, kept.q_heads, kept.q_norm, d.q);
    norm_heads_backward(p.base[k_norm_], p.frozen(), rows, kept.k_heads, kept.k_norm, d.k);
    release(kept.q_heads, kept.k_heads);
  }
  projections_.weights_backward(p, rows, kept.attention_norm, {{kQ, d.q}, {kK, d.k}, {kV, d.v}}, kept);
  Matrix& d_norm = kept.attention_norm;
  projections_.inputs_backward(p, rows, {{kQ, d.q}, {kK, d.k}, {kV, d.v}}, kept, d_norm);
  norm_.backward(&p.base[input_norm_], p.frozen(), rows, kept.input, kept.input_norm, d_norm, gradient,
                 Into::kAdd);
}

// The norm of each head. What x was goes into `before`.
void LlamaLayer::norm_heads(const Parameter& weight, Matrix& x, Matrix& before, NormFactors& factors) const {
  before = std::move(x);
  x = norm_.forward(&weight, before, factors);
}

// dx is the gradient of what the norm gave and becomes that of what it took.
void LlamaLayer::norm_heads_backward(Parameter& weight, bool frozen, const data::Rows& rows,
                                     const Matrix& before, const NormFactors& factors, Matrix& dx) const {
  const Matrix dy = std::exchange(dx, Matrix(dx.rows, dx.cols));
  norm_.backward(&weight, frozen, rows, before, factors, dy, dx, Into::kStore);
}

// `weight` is that of the product that x comes from.
void LlamaLayer::rotate(const Parameter& weight, const data::Rows& rows, bool inverse, Matrix& x) const {
  const std::int64_t dim = with_.config.head_dim;
  observed(with_.ops, {inverse ? OpKind::kRopeGrad : OpKind::kRope, weight.spec.name, x.rows},
           {bytes_of(rows.positions), x.bytes()}, {x.bytes()}, [&] {
             kernels::rope(with_.pool, x.rows, x.cols / dim, dim, rows.positions.data(), rope_.cos(),
                           rope_.sin(), inverse, x.data());
           });
}

}  // namespace aftune::model
