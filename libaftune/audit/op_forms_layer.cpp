// The operations of the embedding and of layers.

#include "audit/limits.h"
#include "audit/op_forms.h"
#include "kernels/i14.h"
#include "model/adapter.h"
#include "model/architecture.h"
#include "model/attention.h"
#include "model/llama.h"
#include "model/rope_table.h"

namespace aftune::audit {

using kernels::Into;
using model::OpKind;

Form OpForms::embedding() const {
  const Shape shape = parameter(2);
  const std::int64_t n = n_, h = shape[1];
  require(h == config_.hidden, entry_.at, " is no table");
  const TensorSpec table = f32(shape);
  list_within(0, shape[0]);
  if (entry_.kind == OpKind::kEmbedding)
    return {{i32(n), table}, {f32({n, h})}, [=, this](const Tensors& in, Tensors& out) {
              kernels::embedding(pool_, n, h, ints(in[0]).data(), floats(in[1]), floats(out[0]));
            }};
  return {{i32(n), f32({n, h}), table}, {table}, [=, this](const Tensors& in, Tensors& out) {
            const std::int64_t row[] = {0, n};
            copy(in[2], out[0]);
            kernels::embedding_grad(pool_, 1, row, h, ints(in[0]).data(), floats(in[1]), floats(out[0]));
          }};
}

Form OpForms::rmsnorm() const {
  require(entry_.at.ends_with("norm.weight"), entry_.at, " is no norm's");
  const std::int64_t heads = model::heads_of_norm(config_, entry_.at), n = n_ * heads;
  const std::int64_t h = parameter(1)[0];
  const TensorSpec x = f32({n, h}), w = f32({h}), inv = f32({n});
  if (entry_.kind == OpKind::kRmsNorm)
    return {{x, w}, {x, inv}, [=, this](const Tensors& in, Tensors& out) {
              kernels::rmsnorm(pool_, n, h, config_.norm_eps, floats(in[0]), floats(in[1]), floats(out[0]),
                               floats(out[1]));
            }};
  if (entry_.kind == OpKind::kRmsNormGradWeight)
    return {{x, inv, x, w}, {w}, [=, this](const Tensors& in, Tensors& out) {
              const std::int64_t row[] = {0, n};
              copy(in[3], out[0]);
              kernels::rmsnorm_grad_weight(pool_, 1, row, h, floats(in[0]), floats(in[1]), floats(in[2]),
                                           floats(out[0]));
            }};
  Form form{{x, w, inv, x}, {x}, [=, this](const Tensors& in, Tensors& out) {
              if (in.size() == 5) copy(in[4], out[0]);
              kernels::rmsnorm_grad_input(pool_, n, h, floats(in[0]), floats(in[1]), floats(in[2]),
                                          floats(in[3]), floats(out[0]), into(in.size() == 5));
            }};
  if (entry_.in.size() == 5) form.in.push_back(x);
  return form;
}

Form OpForms::layernorm() const {
  const std::int64_t n = n_, h = parameter(1)[0];
  require(uses().layernorm && h == config_.hidden, entry_.at, " is no norm's");
  const TensorSpec x = f32({n, h}), w = f32({h}), row = f32({n});
  if (entry_.kind == OpKind::kLayerNorm)
    return {{x, w, w}, {x, row, row}, [=, this](const Tensors& in, Tensors& out) {
              kernels::layernorm(pool_, n, h, config_.norm_eps, floats(in[0]), floats(in[1]), floats(in[2]),
                                 floats(out[0]), floats(out[1]), floats(out[2]));
            }};
  if (entry_.kind == OpKind::kLayerNormGradWeight)
    return {{x, row, row, x, w}, {w}, [=, this](const Tensors& in, Tensors& out) {
              const std::int64_t rows[] = {0, n};
              copy(in[4], out[0]);
              kernels::layernorm_grad_weight(pool_, 1, rows, h, floats(in[0]), floats(in[1]), floats(in[2]),
                                             floats(in[3]), floats(out[0]));
            }};
  Form form{{x, w, row, row, x}, {x}, [=, this](const Tensors& in, Tensors& out) {
              if (in.size() == 6) copy(in[5], out[0]);
              kernels::layernorm_grad_input(pool_, n, h, floats(in[0]), floats(in[1]), floats(in[2]),
                                            floats(in[3]), floats(in[4]), floats(out[0]),
                                            into(in.size() == 6));
            }};
  if (entry_.in.size() == 6) form.in.push_back(x);
  return form;
}

// As model::Products has it. A matrix that is stored transposed takes the part that its other form has in
// the other direction.
Form OpForms::linear() const {
  const Shape shape = matrix();
  const bool turned = is_transposed();
  const std::int64_t n = n_, rows = shape[0], columns = shape[1];
  const kernels::Profile profile =
      of_adapter() || is_exact() ? kernels::Profile{} : profile_of(log_.manifest());
  const TensorSpec x = f32({n, turned ? rows : columns}), y = f32({n, turned ? columns : rows}),
                   w = f32(parameter(0));
  const auto times = [=, this](bool by_rows, const Tensors& in, Tensors& out, Into how) {
    if (by_rows)
      kernels::linear(pool_, profile, n, columns, rows, floats(in[0]), floats(in[1]), floats(out[0]), how);
    else
      kernels::linear_grad_input(pool_, profile, n, columns, rows, floats(in[0]), floats(in[1]),
                                 floats(out[0]), how);
  };
  if (entry_.kind == OpKind::kLinear)
    return {{x, w}, {y}, [=](const Tensors& in, Tensors& out) { times(!turned, in, out, Into::kStore); }};
  if (entry_.kind == OpKind::kLinearGradWeight)
    return {{y, x, w}, {w}, [=, this](const Tensors& in, Tensors& out) {
              const std::int64_t row[] = {0, n};
              copy(in[2], out[0]);
              kernels::linear_grad_weight(pool_, profile, 1, row, columns, rows, floats(in[turned ? 1 : 0]),
                                          floats(in[turned ? 0 : 1]), floats(out[0]));
            }};
  Form form{{y, w}, {x}, [=](const Tensors& in, Tensors& out) {
              if (in.size() == 3) copy(in[2], out[0]);
              times(turned, in, out, into(in.size() == 3));
            }};
  if (entry_.in.size() == 3) form.in.push_back(x);
  return form;
}

// Of a convolution's weight too, whose outputs are its first dimension.
Shape OpForms::matrix() const {
  const Shape shape = parameter(0);
  require(shape.size() == 2 || (shape.size() == 4 && config_.images), entry_.at, " is no matrix");
  return {shape[0], element_count(shape) / shape[0]};
}

// What of a classifier of images is in f32 under every profile: all but the layers.
bool OpForms::is_exact() const {
  return config_.images.has_value() && !entry_.at.starts_with(config_.architecture->layers);
}

// A layer's own products only.
bool OpForms::is_transposed() const {
  return config_.architecture->transposed && !of_adapter() &&
         entry_.at.starts_with(config_.architecture->layers);
}

// Where documents start: positions count from 0 in each.
std::vector<std::int64_t> OpForms::documents(const std::vector<std::int32_t>& positions) const {
  std::vector<std::int64_t> starts;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (positions[i] == 0) starts.push_back(static_cast<std::int64_t>(i));
    require(positions[i] == 0 || (i > 0 && positions[i] == positions[i - 1] + 1), "positions of no row");
  }
  starts.push_back(std::ssize(positions));
  return starts;
}

Form OpForms::rope() const {
  const std::int64_t n = n_, width = parameter(2)[0], dim = config_.head_dim;
  require(width % dim == 0, entry_.at, " has no heads");
  const bool inverse = entry_.kind == OpKind::kRopeGrad;
  const TensorSpec x = f32({n, width});
  return {{i32(n), x}, {x}, [=, this](const Tensors& in, Tensors& out) {
            const std::vector<std::int32_t> positions = ints(in[0]);
            documents(positions);
            model::RopeTable table(config_);
            table.cover(pool_, n);
            copy(in[1], out[0]);
            kernels::rope(pool_, n, width / dim, dim, positions.data(), table.cos(), table.sin(), inverse,
                          floats(out[0]));
          }};
}

Form OpForms::attention() const {
  const std::int64_t n = n_, dim = config_.head_dim;
  const kernels::AttentionShape shape = model::attention_shape(config_);
  const TensorSpec q = f32({n, shape.heads * dim}), k = f32({n, shape.kv_heads * dim}),
                   row = f32({n, shape.heads});
  if (entry_.kind == OpKind::kAttention)
    return {{i32(n), q, k, k}, {q, row, row}, [=, this](const Tensors& in, Tensors& out) {
              const auto starts = documents(ints(in[0]));
              kernels::attention(pool_, shape, std::ssize(starts) - 1, starts.data(), floats(in[1]),
                                 floats(in[2]), floats(in[3]), floats(out[0]), floats(out[1]),
                                 floats(out[2]));
            }};
  return {{i32(n), q, k, k, q, row, row, q}, {q, k, k}, [=, this](const Tensors& in, Tensors& out) {
            const auto starts = documents(ints(in[0]));
            kernels::attention_grad(pool_, shape, std::ssize(starts) - 1, starts.data(), floats(in[1]),
                                    floats(in[2]), floats(in[3]), floats(in[4]), floats(in[5]), floats(in[6]),
                                    floats(in[7]), floats(out[0]), floats(out[1]), floats(out[2]));
          }};
}

Form OpForms::bias() const {
  // Of images those of all positions are one bias of the row, and the class token takes a bias's gradient.
  const bool of_image =
      config_.images && (entry_.at.ends_with(".position_embeddings") || entry_.at.ends_with(".cls_token"));
  require(entry_.at.ends_with(".bias") || of_image, entry_.at, " is no bias");
  const std::int64_t n = n_, h = element_count(parameter(of_image ? 3 : 1));
  const TensorSpec x = f32({n, h}), b = f32({h});
  if (entry_.kind == OpKind::kAddBias)
    return {{x, b}, {x}, [=, this](const Tensors& in, Tensors& out) {
              copy(in[0], out[0]);
              kernels::add_bias(pool_, n, h, floats(in[1]), floats(out[0]));
            }};
  return {{x, b}, {b}, [=, this](const Tensors& in, Tensors& out) {
            const std::int64_t row[] = {0, n};
            copy(in[1], out[0]);
            kernels::bias_grad(pool_, 1, row, h, floats(in[0]), floats(out[0]));
          }};
}

Form OpForms::scaled() const {
  require(of_adapter(), entry_.at, " is no adapter's");
  const float scale = model::adapter_scale(log_.manifest().recipe);
  const TensorSpec x = f32({n_, parameter(2)[0]});
  if (entry_.kind == OpKind::kScale)
    return {{x}, {x}, [=, this](const Tensors& in, Tensors& out) {
              kernels::scale(pool_, in[0].values.size(), scale, floats(in[0]), floats(out[0]));
            }};
  return {{x, x}, {x}, [=, this](const Tensors& in, Tensors& out) {
            copy(in[1], out[0]);
            kernels::add_scaled(pool_, in[0].values.size(), scale, floats(in[0]), floats(out[0]));
          }};
}

Form OpForms::dropout() const {
  const auto place = model::place_of_adapter(config_, entry_.at);
  require(place.has_value() && entry_.row >= 0, entry_.at, " drops nothing");
  const kernels::DropoutSite site =
      model::dropout_site(log_.manifest().recipe, step_.step, entry_.row, place->layer, place->projection);
  const std::int64_t n = n_, h = parameter(2)[1];
  return {{f32({n, h})}, {f32({n, h})}, [=, this](const Tensors& in, Tensors& out) {
            const std::int64_t row[] = {0, n};
            kernels::dropout(pool_, site, 1, row, h, floats(in[0]), floats(out[0]));
          }};
}

Form OpForms::swiglu() const {
  const TensorSpec x = f32({n_, config_.intermediate});
  const std::int64_t count = element_count(x.shape);
  if (entry_.kind == OpKind::kSwiglu)
    return {{x, x}, {x}, [=, this](const Tensors& in, Tensors& out) {
              kernels::swiglu(pool_, count, floats(in[0]), floats(in[1]), floats(out[0]));
            }};
  return {{x, x, x}, {x, x}, [=, this](const Tensors& in, Tensors& out) {
            kernels::swiglu_grad(pool_, count, floats(in[0]), floats(in[1]), floats(in[2]), floats(out[0]),
                                 floats(out[1]));
          }};
}

Form OpForms::gelu() const {
  require(uses().gelu || uses().gelu_tanh, "an activation that the model does not have");
  const TensorSpec x = f32({n_, config_.intermediate});
  const std::int64_t count = element_count(x.shape);
  if (entry_.kind == OpKind::kGelu)
    return {{x}, {x}, [=, this](const Tensors& in, Tensors& out) {
              kernels::gelu(pool_, config_.gelu, count, floats(in[0]), floats(out[0]));
            }};
  return {{x, x}, {x}, [=, this](const Tensors& in, Tensors& out) {
            kernels::gelu_grad(pool_, config_.gelu, count, floats(in[0]), floats(in[1]), floats(out[0]));
          }};
}

// Parts of rows, side by side: q, k and v, or gate and up.
Form OpForms::split() const {
  const std::int64_t parts = is_transposed() ? 3 : 2, all = parameter(2)[is_transposed() ? 1 : 0];
  const bool gated = config_.images && uses().swiglu && all == 2 * config_.intermediate;
  require(all % parts == 0 && (is_transposed() || gated), entry_.at, " is not split");
  const std::int64_t n = n_, width = all / parts;
  const TensorSpec whole = f32({n, all});
  const std::vector<TensorSpec> pieces(static_cast<std::size_t>(parts), f32({n, width}));
  const std::size_t bytes = static_cast<std::size_t>(width) * sizeof(float);
  if (entry_.kind == OpKind::kSplit)
    return {{whole}, pieces, [=](const Tensors& in, Tensors& out) {
              for (std::int64_t i = 0; i < parts * n; ++i)
                std::memcpy(floats(out[static_cast<std::size_t>(i % parts)]) + i / parts * width,
                            floats(in[0]) + i * width, bytes);
            }};
  return {pieces, {whole}, [=](const Tensors& in, Tensors& out) {
            for (std::int64_t i = 0; i < parts * n; ++i)
              std::memcpy(floats(out[0]) + i * width,
                          floats(in[static_cast<std::size_t>(i % parts)]) + i / parts * width, bytes);
          }};
}

}  // namespace aftune::audit
