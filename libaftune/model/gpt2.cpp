#include "model/gpt2.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "kernels/ops.h"
#include "model/architecture.h"
#include "model/lm_head.h"

namespace aftune::model {
namespace {

using kernels::GeluForm;
using kernels::Into;

using enum Projection;

// A member by its own name or by the one that transformers takes for it. Readers differ in which of two that
// contradict each other they believe, so there may be none.
std::int64_t size(const ConfigReader& in, const char* name, const char* alias, std::int64_t fallback,
                  std::int64_t most) {
  const std::int64_t value = in.integer(name, in.integer(alias, fallback, 1, most), 1, most);
  if (in.integer(alias, value, 1, most) != value) ConfigReader::bad(alias, cat("contradicts \"", name, '"'));
  return value;
}

GeluForm activation(const ConfigReader& in) {
  const std::string name = in.text("activation_function", "gelu_new");
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return GeluForm::kTanh;
  if (name != "gelu")
    ConfigReader::bad(
        "activation_function",
        cat("is \"", name, "\"; \"gelu_new\", \"gelu_pytorch_tanh\" and \"gelu\" are supported"));
  return GeluForm::kErf;
}

void read_config(const ConfigReader& in, const Family& family, Config& c) {
  for (const char* key :
       {"scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "add_cross_attention"})
    if (in.flag(key, false)) ConfigReader::bad(key, "is true; not supported");
  if (!in.flag("scale_attn_weights", true))
    ConfigReader::bad("scale_attn_weights", "is false; not supported");
  c.gelu = activation(in);
  c.vocab = in.integer("vocab_size", family.vocab, 1, kMaxVocab);
  c.hidden = size(in, "n_embd", "hidden_size", 768, kMaxWidth);
  c.intermediate = in.integer("n_inner", 4 * c.hidden, 1, kMaxIntermediate);
  c.layers = static_cast<int>(size(in, "n_layer", "num_hidden_layers", 12, kMaxLayers));
  c.heads = c.kv_heads = static_cast<int>(size(in, "n_head", "num_attention_heads", 12, kMaxWidth));
  if (c.hidden % c.heads != 0) ConfigReader::bad("n_head", "does not divide \"n_embd\"");
  c.head_dim = static_cast<int>(c.hidden / c.heads);
  c.max_position = size(in, "n_positions", "max_position_embeddings", family.max_position, kMaxPosition);
  c.norm_eps = in.epsilon("layer_norm_epsilon", 1e-5);
  c.tied = in.flag("tie_word_embeddings", true);
}

TensorSpec spec(std::string name, Shape shape) {
  return {std::move(name), DType::kF32, std::move(shape)};
}

std::vector<TensorSpec> layer_tensors(const Config& c, const std::string& at) {
  const std::int64_t h = c.hidden, inner = c.intermediate;
  return {spec(at + "ln_1.weight", {h}),
          spec(at + "ln_1.bias", {h}),
          spec(at + "attn.c_attn.weight", {h, 3 * h}),
          spec(at + "attn.c_attn.bias", {3 * h}),
          spec(at + "attn.c_proj.weight", {h, h}),
          spec(at + "attn.c_proj.bias", {h}),
          spec(at + "ln_2.weight", {h}),
          spec(at + "ln_2.bias", {h}),
          spec(at + "mlp.c_fc.weight", {h, inner}),
          spec(at + "mlp.c_fc.bias", {inner}),
          spec(at + "mlp.c_proj.weight", {inner, h}),
          spec(at + "mlp.c_proj.bias", {h})};
}

std::vector<TensorSpec> tensors(const Config& c, int unit) {
  if (unit == 0)
    return {spec("transformer.wte.weight", {c.vocab, c.hidden}),
            spec("transformer.wpe.weight", {c.max_position, c.hidden})};
  if (unit <= c.layers) return layer_tensors(c, cat(kGpt2.layers, unit - 1, '.'));
  std::vector<TensorSpec> head = {spec("transformer.ln_f.weight", {c.hidden}),
                                  spec("transformer.ln_f.bias", {c.hidden})};
  if (!c.tied) head.push_back(spec("lm_head.weight", {c.vocab, c.hidden}));
  return head;
}

kernels::OpUses op_uses_of(const Config& c) {
  return {.biases = true,
          .rmsnorm = false,
          .rope = false,
          .swiglu = false,
          .layernorm = true,
          .gelu = c.gelu == GeluForm::kErf,
          .gelu_tanh = c.gelu == GeluForm::kTanh};
}

Stages make_stages(const StageContext& with) {
  return {std::make_unique<Gpt2Embedding>(with), std::make_unique<Gpt2Layer>(with),
          std::make_unique<LmHead>(with, std::make_unique<LayerNorm>(with))};
}

double kept_of_token(const Config& c) {
  return 8.0 * static_cast<double>(c.hidden) + 2.0 * static_cast<double>(c.intermediate) + 2.0 * c.heads + 4;
}

// Rows of `whole`, which has three parts side by side, seen as rows of one part.
std::vector<std::int64_t> rows_of_part(const Matrix& whole, std::int64_t part) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(whole.rows));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = 3 * static_cast<std::int64_t>(i) + part;
  return rows;
}

// `at` is the weight that `whole` comes from.
void split(const StageContext& with, const Parameter& at, const Matrix& whole, AttentionActivations& to) {
  const std::int64_t n = whole.rows, width = whole.cols / 3;
  for (Matrix* part : {&to.q, &to.k, &to.v}) *part = Matrix(n, width);
  observed(with.ops, {OpKind::kSplit, at.spec.name, n}, {whole.bytes()},
           {to.q.bytes(), to.k.bytes(), to.v.bytes()}, [&] {
             std::int64_t i = 0;
             for (Matrix* part : {&to.q, &to.k, &to.v})
               kernels::gather_rows(with.pool, n, width, rows_of_part(whole, i++).data(), whole.data(),
                                    part->data());
           });
}

Matrix joined(const StageContext& with, const Parameter& at, const Attention::Gradients& d) {
  const std::int64_t n = d.q.rows, width = d.q.cols;
  Matrix whole(n, 3 * width);
  observed(with.ops, {OpKind::kSplitGrad, at.spec.name, n}, {d.q.bytes(), d.k.bytes(), d.v.bytes()},
           {whole.bytes()}, [&] {
             std::int64_t i = 0;
             for (const Matrix* part : {&d.q, &d.k, &d.v})
               kernels::scatter_rows(with.pool, n, width, rows_of_part(whole, i++).data(), part->data(),
                                     whole.data());
           });
  return whole;
}

}  // namespace

const Architecture kGpt2 = {
    .prefix = "transformer.",
    .layers = "transformer.h.",
    .projections = {"", "", "", "attn.c_proj", "", "mlp.c_fc", "mlp.c_proj", "attn.c_attn"},
    .targets = "qkv",
    .transposed = true,
    .tables = {"transformer.wte.weight", "transformer.wpe.weight", "lm_head.weight"},
    .read_config = read_config,
    .unit_tensors = tensors,
    .op_uses = op_uses_of,
    .make_stages = make_stages,
    .kept_of_token = kept_of_token,
};

Matrix Gpt2Embedding::forward(const Parameter* p, const data::Rows& rows) {
  AFTUNE_CHECK(std::ssize(rows.tokens) == rows.size());
  const Matrix tokens = lookup_.forward(p[0], rows.tokens);
  Matrix x = lookup_.forward(p[1], rows.positions);
  add_residual(with_, p[1], tokens, x);
  return x;
}

void Gpt2Embedding::backward(Parameter* p, const data::Rows& rows, const Matrix& dy) {
  lookup_.backward(p[0], rows, rows.tokens, dy);
  lookup_.backward(p[1], rows, rows.positions, dy);
}

Gpt2Layer::Gpt2Layer(const StageContext& with)
    : with_(with),
      projections_(with),
      attention_(with),
      norm_(with),
      ln_1_(slot_in_layer(with.config, "ln_1.weight")),
      ln_2_(slot_in_layer(with.config, "ln_2.weight")) {}

Layer::Result Gpt2Layer::forward(const LayerTensors& p, const data::Rows& rows, Matrix x, bool training) {
  auto keep = std::make_unique<Gpt2Activations>();
  keep->training = training;
  keep->input = std::move(x);
  queries_keys_values(p, rows, *keep);
  attention_.forward(projections_.weight(p, kO).spec.name, rows, keep->attention);
  Matrix y = after_attention(p, rows, *keep);
  return {std::move(y), std::move(keep)};
}

Matrix Gpt2Layer::infer(const LayerTensors& p, const data::Rows& rows, Matrix x,
                        std::span<KvCache* const> caches, int layer) {
  Gpt2Activations keep;
  keep.training = false;
  keep.input = std::move(x);
  queries_keys_values(p, rows, keep);
  attention_.continued(caches, layer, rows, keep.attention);
  return after_attention(p, rows, keep);
}

void Gpt2Layer::queries_keys_values(const LayerTensors& p, const data::Rows& rows,
                                    Gpt2Activations& keep) const {
  keep.attention_norm = norm_.forward(&p.base[ln_1_], keep.input, keep.input_norm);
  Products::Input x(with_.products, keep.attention_norm);
  const Matrix whole = projections_.forward(p, kQkv, rows, x, keep);
  split(with_, projections_.weight(p, kQkv), whole, keep.attention);
}

Matrix Gpt2Layer::after_attention(const LayerTensors& p, const data::Rows& rows,
                                  Gpt2Activations& keep) const {
  {
    Products::Input heads(with_.products, keep.attention.out);
    keep.middle = projections_.forward(p, kO, rows, heads, keep);
  }
  add_residual(with_, projections_.weight(p, kO), keep.input, keep.middle);
  Matrix y = mlp_branch(p, rows, keep);
  add_residual(with_, projections_.weight(p, kDown), keep.middle, y);
  return y;
}

Matrix Gpt2Layer::mlp_branch(const LayerTensors& p, const data::Rows& rows, Gpt2Activations& keep) const {
  keep.mlp_norm = norm_.forward(&p.base[ln_2_], keep.middle, keep.middle_norm);
  {
    Products::Input x(with_.products, keep.mlp_norm);
    keep.fc = projections_.forward(p, kUp, rows, x, keep);
  }
  keep.gelu = Matrix(keep.fc.rows, keep.fc.cols);
  observed(with_.ops, {OpKind::kGelu, projections_.weight(p, kDown).spec.name, keep.fc.rows},
           {keep.fc.bytes()}, {keep.gelu.bytes()}, [&] {
             kernels::gelu(with_.pool, with_.config.gelu, keep.fc.values.size(), keep.fc.data(),
                           keep.gelu.data());
           });
  Products::Input x(with_.products, keep.gelu);
  return projections_.forward(p, kDown, rows, x, keep);
}

Matrix Gpt2Layer::backward(const LayerTensors& p, const data::Rows& rows,
                           std::unique_ptr<LayerActivations> kept, Matrix dy) {
  // `gradient` is that of y, then of middle, then of x: the residual passes it on, each branch adds its own.
  Matrix gradient = std::move(dy);
  auto& own = static_cast<Gpt2Activations&>(*kept);
  mlp_backward(p, rows, own, gradient);
  attention_backward(p, rows, own, gradient);
  return gradient;
}

void Gpt2Layer::mlp_backward(const LayerTensors& p, const data::Rows& rows, Gpt2Activations& kept,
                             Matrix& gradient) const {
  projections_.weights_backward(p, rows, kept.gelu, {{kDown, gradient}}, kept);
  Matrix& d_gelu = kept.gelu;  // no longer needed: its memory takes its gradient
  projections_.inputs_backward(p, rows, {{kDown, gradient}}, kept, d_gelu);
  Matrix& d_fc = kept.fc;
  observed(with_.ops, {OpKind::kGeluGrad, projections_.weight(p, kDown).spec.name, d_fc.rows},
           {kept.fc.bytes(), d_gelu.bytes()}, {d_fc.bytes()}, [&] {
             kernels::gelu_grad(with_.pool, with_.config.gelu, d_fc.values.size(), kept.fc.data(),
                                d_gelu.data(), d_fc.data());
           });
  release(kept.gelu);
  projections_.weights_backward(p, rows, kept.mlp_norm, {{kUp, d_fc}}, kept);
  Matrix& d_norm = kept.mlp_norm;
  projections_.inputs_backward(p, rows, {{kUp, d_fc}}, kept, d_norm);
  norm_.backward(&p.base[ln_2_], p.frozen(), rows, kept.middle, kept.middle_norm, d_norm, gradient,
                 Into::kAdd);
  release(kept.mlp_norm, kept.middle, kept.fc);
}

void Gpt2Layer::attention_backward(const LayerTensors& p, const data::Rows& rows, Gpt2Activations& kept,
                                   Matrix& gradient) const {
  projections_.weights_backward(p, rows, kept.attention.out, {{kO, gradient}}, kept);
  Matrix d_out(kept.attention.out.rows, kept.attention.out.cols);
  projections_.inputs_backward(p, rows, {{kO, gradient}}, kept, d_out);
  const Matrix d_whole = joined(
      with_, projections_.weight(p, kQkv),
      attention_.backward(projections_.weight(p, kO).spec.name, rows, kept.attention, std::move(d_out)));
  projections_.weights_backward(p, rows, kept.attention_norm, {{kQkv, d_whole}}, kept);
  Matrix& d_norm = kept.attention_norm;
  projections_.inputs_backward(p, rows, {{kQkv, d_whole}}, kept, d_norm);
  norm_.backward(&p.base[ln_1_], p.frozen(), rows, kept.input, kept.input_norm, d_norm, gradient, Into::kAdd);
}

}  // namespace aftune::model
