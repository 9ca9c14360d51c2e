#include "audit/single_op.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "audit/limits.h"
#include "base/error.h"
#include "data/rows.h"
#include "hash/blake3.h"
#include "kernels/i14.h"
#include "kernels/image_ops.h"
#include "kernels/ops.h"
#include "model/adapter.h"
#include "model/architecture.h"
#include "model/attention.h"
#include "model/llama.h"
#include "model/rope_table.h"
#include "optim/optimizer.h"
#include "train/engine.h"

namespace aftune::audit {
namespace {

using kernels::Into;
using model::OpKind;
using Tensors = std::vector<OpTensor>;

template <class... Parts>
void require(bool holds, const Parts&... why) {
  if (!holds) fail(Fault::kEvidence, why...);
}

TensorSpec f32(Shape shape) {
  return {"", DType::kF32, std::move(shape)};
}
TensorSpec i32(std::int64_t count) {
  return {"", DType::kI32, {count}};
}
TensorSpec f64() {
  return {"", DType::kU8, {8}};
}

const float* floats(const OpTensor& tensor) {
  return tensor.values.data();
}
float* floats(OpTensor& tensor) {
  return tensor.values.data();
}
std::vector<std::int32_t> ints(const OpTensor& tensor) {
  std::vector<std::int32_t> list(static_cast<std::size_t>(tensor.values.size()));
  std::memcpy(list.data(), tensor.values.data(), list.size() * sizeof(std::int32_t));
  return list;
}
double real(const OpTensor& tensor) {
  return load_le<double>(tensor.values.bytes().data());
}
void set_real(OpTensor& tensor, double value) {
  std::memcpy(tensor.values.data(), &value, sizeof value);
}
void copy(const OpTensor& from, OpTensor& to) {
  AFTUNE_CHECK(from.values.size() == to.values.size());
  std::memcpy(to.values.data(), from.values.data(), from.values.bytes().size());
}

bool is_finite(const OpTensor& tensor, ThreadPool& pool) {
  if (tensor.spec.dtype == DType::kU8) return std::isfinite(real(tensor));
  return tensor.spec.dtype != DType::kF32 ||
         !kernels::any_nonfinite(pool, tensor.values.size(), floats(tensor));
}

// What an operation takes, what it gives, and how. Where a list of integers comes first, the shapes of what
// follows may depend on it.
struct Form {
  std::vector<TensorSpec> in, out;
  std::function<void(const Tensors& in, Tensors& out)> run;
};

class Forms {
 public:
  // `list` is the first input, where that is a list and has been read.
  Forms(const OpContext& context, const OpEntry& entry, const std::optional<std::vector<std::int32_t>>& list)
      : log_(context.log),
        step_(context.step),
        pool_(context.pool),
        config_(context.log.config()),
        entry_(entry),
        list_(list),
        n_(entry.tokens) {}

  Form form() const {
    check_tokens();
    switch (entry_.kind) {
      case OpKind::kEmbedding:
      case OpKind::kEmbeddingGrad:
        return embedding();
      case OpKind::kRmsNorm:
      case OpKind::kRmsNormGradWeight:
      case OpKind::kRmsNormGradInput:
        return rmsnorm();
      case OpKind::kLayerNorm:
      case OpKind::kLayerNormGradWeight:
      case OpKind::kLayerNormGradInput:
        return layernorm();
      case OpKind::kLinear:
      case OpKind::kLinearGradWeight:
      case OpKind::kLinearGradInput:
        return linear();
      case OpKind::kRope:
      case OpKind::kRopeGrad:
        return rope();
      case OpKind::kAttention:
      case OpKind::kAttentionGrad:
        return attention();
      case OpKind::kAdd:
      case OpKind::kAddUses:
        return add();
      case OpKind::kAddBias:
      case OpKind::kBiasGrad:
        return bias();
      case OpKind::kScale:
      case OpKind::kAddScaled:
        return scaled();
      case OpKind::kDropout:
        return dropout();
      case OpKind::kSwiglu:
      case OpKind::kSwigluGrad:
        return swiglu();
      case OpKind::kGelu:
      case OpKind::kGeluGrad:
        return gelu();
      case OpKind::kSplit:
      case OpKind::kSplitGrad:
        return split();
      case OpKind::kLayerScale:
      case OpKind::kLayerScaleGradWeight:
        return layer_scale();
      case OpKind::kPatches:
        return patches();
      case OpKind::kClassToken:
      case OpKind::kClassTokenGrad:
        return class_token();
      case OpKind::kClassMean:
      case OpKind::kClassMeanGrad:
        return class_mean();
      case OpKind::kGather:
      case OpKind::kScatter:
        return predicted_rows();
      case OpKind::kCrossEntropy:
      case OpKind::kRowLoss:
      case OpKind::kMeanLoss:
        return loss();
      case OpKind::kSumSquares:
        return sum_squares();
      case OpKind::kUpdate:
        return update();
      case OpKind::kCut:
      case OpKind::kJoin:
        return rows_of_boundary();
    }
    fail(Fault::kEvidence, "no operation of ours");
  }

 private:
  void check_tokens() const {
    const record::Recipe& recipe = log_.manifest().recipe;
    switch (entry_.kind) {
      case OpKind::kAddUses:
      case OpKind::kSumSquares:
      case OpKind::kUpdate:
      case OpKind::kMeanLoss:
        return require(n_ == 0, "tokens in an operation that has none");
      case OpKind::kCut:
      case OpKind::kJoin:
        return require(n_ == step_.tokens, n_, " tokens in a step of ", step_.tokens);
      default:
        return require(n_ > 0 && n_ <= recipe.seq_len, "a row of ", n_, " tokens");
    }
  }

  const Shape& parameter(std::size_t rank) const {
    for (const auto* all : {&log_.tensors(), &log_.base_tensors()})
      for (const TensorSpec& spec : *all)
        if (spec.name == entry_.at && (rank == 0 || spec.shape.size() == rank)) return spec.shape;
    fail(Fault::kEvidence, "no such parameter: ", entry_.at);
  }
  bool of_adapter() const { return model::is_of_adapter(entry_.at); }

  std::vector<std::int32_t> list_within(std::int32_t least, std::int64_t end) const {
    if (!list_) return {};
    for (const std::int32_t id : *list_)
      require(id >= least && id < end, "an id that is not within the table");
    return *list_;
  }

  Form embedding() const {
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

  Form rmsnorm() const {
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

  Form layernorm() const {
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

  kernels::OpUses uses() const { return model::op_uses(config_, log_.manifest().recipe); }

  static Into into(bool adds) { return adds ? Into::kAdd : Into::kStore; }

  // As model::Products has it. A matrix that is stored transposed takes the part that its other form has in
  // the other direction.
  Form linear() const {
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
  Shape matrix() const {
    const Shape shape = parameter(0);
    require(shape.size() == 2 || (shape.size() == 4 && config_.images), entry_.at, " is no matrix");
    return {shape[0], element_count(shape) / shape[0]};
  }

  // What of a classifier of images is in f32 under every profile: all but the layers.
  bool is_exact() const {
    return config_.images.has_value() && !entry_.at.starts_with(config_.architecture->layers);
  }

  // A layer's own products only.
  bool is_transposed() const {
    return config_.architecture->transposed && !of_adapter() &&
           entry_.at.starts_with(config_.architecture->layers);
  }

  // Where documents start: positions count from 0 in each.
  std::vector<std::int64_t> documents(const std::vector<std::int32_t>& positions) const {
    std::vector<std::int64_t> starts;
    for (std::size_t i = 0; i < positions.size(); ++i) {
      if (positions[i] == 0) starts.push_back(static_cast<std::int64_t>(i));
      require(positions[i] == 0 || (i > 0 && positions[i] == positions[i - 1] + 1), "positions of no row");
    }
    starts.push_back(std::ssize(positions));
    return starts;
  }

  Form rope() const {
    const std::int64_t n = n_, width = parameter(2)[0], dim = config_.head_dim;
    require(width % dim == 0, entry_.at, " has no heads");
    const bool inverse = entry_.kind == OpKind::kRopeGrad;
    const TensorSpec x = f32({n, width});
    return {{i32(n), x}, {x}, [=, this](const Tensors& in, Tensors& out) {
              const std::vector<std::int32_t> positions = ints(in[0]);
              documents(positions);
              model::RopeTable table(config_);
              table.cover(n);
              copy(in[1], out[0]);
              kernels::rope(pool_, n, width / dim, dim, positions.data(), table.cos(), table.sin(), inverse,
                            floats(out[0]));
            }};
  }

  Form attention() const {
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
                                      floats(in[2]), floats(in[3]), floats(in[4]), floats(in[5]),
                                      floats(in[6]), floats(in[7]), floats(out[0]), floats(out[1]),
                                      floats(out[2]));
            }};
  }

  Form add() const {
    // Beside an adapter's A what is joined are gradients of its input.
    const TensorSpec x = entry_.kind == OpKind::kAddUses ? f32(parameter(2))
                         : of_adapter()                  ? f32({n_, parameter(2)[1]})
                                                         : f32({n_, config_.hidden});
    return {{x, x}, {x}, [this](const Tensors& in, Tensors& out) {
              kernels::add(pool_, out[0].values.size(), floats(in[0]), floats(in[1]), floats(out[0]));
            }};
  }

  Form bias() const {
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

  Form scaled() const {
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

  Form dropout() const {
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

  Form swiglu() const {
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

  Form gelu() const {
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
  Form split() const {
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

  Form layer_scale() const {
    require(entry_.at.ends_with(".lambda1"), entry_.at, " is no layer scale");
    const std::int64_t n = n_, h = parameter(1)[0];
    const TensorSpec x = f32({n, h}), w = f32({h});
    if (entry_.kind == OpKind::kLayerScale)
      return {{x, w}, {x}, [=, this](const Tensors& in, Tensors& out) {
                kernels::layer_scale(pool_, n, h, floats(in[0]), floats(in[1]), floats(out[0]));
              }};
    return {{x, x, w}, {w}, [=, this](const Tensors& in, Tensors& out) {
              const std::int64_t row[] = {0, n};
              copy(in[2], out[0]);
              kernels::layer_scale_grad_weight(pool_, 1, row, h, floats(in[0]), floats(in[1]),
                                               floats(out[0]));
            }};
  }

  // A row of a run on images is all of the positions of one.
  void require_image() const {
    require(config_.images.has_value() && n_ == config_.max_position, "a row of ", n_, " positions");
  }

  Form patches() const {
    require_image();
    const kernels::ImageShape shape = config_.images->shape;
    return {{f32({1, shape.pixels()})},
            {f32({shape.patches(), shape.patch_width()})},
            [=, this](const Tensors& in, Tensors& out) {
              kernels::patches(pool_, shape, 1, floats(in[0]), floats(out[0]));
            }};
  }

  // The class token's row, and behind it those of the patches.
  Form class_token() const {
    require_image();
    require(entry_.at.ends_with(".cls_token"), entry_.at, " is no class token");
    const std::int64_t h = config_.hidden;
    const std::size_t bytes = static_cast<std::size_t>(h) * sizeof(float);
    const std::size_t patches = static_cast<std::size_t>(n_ - 1) * bytes;
    const TensorSpec all = f32({n_, h}), rest = f32({n_ - 1, h}), token = f32({1, h});
    if (entry_.kind == OpKind::kClassToken)
      return {{rest, token}, {all}, [=](const Tensors& in, Tensors& out) {
                std::memcpy(floats(out[0]), floats(in[1]), bytes);
                std::memcpy(floats(out[0]) + h, floats(in[0]), patches);
              }};
    return {{all}, {token, rest}, [=](const Tensors& in, Tensors& out) {
              std::memcpy(floats(out[0]), floats(in[0]), bytes);
              std::memcpy(floats(out[1]), floats(in[0]) + h, patches);
            }};
  }

  Form class_mean() const {
    require_image();
    require(uses().class_mean, "a classifier that does not look at patches");
    const std::int64_t n = n_, h = config_.hidden;
    const TensorSpec all = f32({n, h}), pooled = f32({1, 2 * h});
    if (entry_.kind == OpKind::kClassMeanGrad)
      return {{pooled}, {all}, [=, this](const Tensors& in, Tensors& out) {
                kernels::class_mean_grad(pool_, 1, n, h, floats(in[0]), floats(out[0]));
              }};
    const std::vector<std::int32_t> labels = list_within(data::kNoLabel, config_.vocab);
    return {{i32(n), all}, {pooled, i32(1)}, [=, this](const Tensors& in, Tensors& out) {
              kernels::class_mean(pool_, 1, n, h, floats(in[1]), floats(out[0]));
              std::memcpy(out[1].values.data(), labels.data(), sizeof(std::int32_t));
            }};
  }

  // The head computes with the positions that have a label only.
  Form predicted_rows() const {
    const std::int64_t h = config_.hidden;
    std::vector<std::int64_t> at;
    std::vector<std::int32_t> labels;
    const std::vector<std::int32_t> all = list_within(data::kNoLabel, config_.vocab);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i] == data::kNoLabel) continue;
      at.push_back(static_cast<std::int64_t>(i));
      labels.push_back(all[i]);
    }
    const std::int64_t m = std::ssize(at);
    require(!list_ || m > 0, "a row that predicts nothing");
    const TensorSpec whole = f32({n_, h}), some = f32({m, h});
    const std::size_t bytes = static_cast<std::size_t>(h) * sizeof(float);
    if (entry_.kind == OpKind::kGather)
      return {{i32(n_), whole}, {some, i32(m)}, [=](const Tensors& in, Tensors& out) {
                for (std::int64_t i = 0; i < m; ++i)
                  std::memcpy(floats(out[0]) + i * h, floats(in[1]) + at[static_cast<std::size_t>(i)] * h,
                              bytes);
                std::memcpy(out[1].values.data(), labels.data(), labels.size() * sizeof(std::int32_t));
              }};
    return {{i32(n_), some}, {whole}, [=](const Tensors& in, Tensors& out) {
              std::memset(out[0].values.data(), 0, out[0].values.bytes().size());
              for (std::int64_t i = 0; i < m; ++i)
                std::memcpy(floats(out[0]) + at[static_cast<std::size_t>(i)] * h, floats(in[1]) + i * h,
                            bytes);
            }};
  }

  Form loss() const {
    const std::int64_t n = n_, vocab = config_.vocab, predicted = step_.predicted;
    require(predicted > 0, "a step that predicts nothing");
    if (entry_.kind == OpKind::kMeanLoss)
      return {
          std::vector<TensorSpec>(entry_.in.size(), f64()), {f32({1})}, [=](const Tensors& in, Tensors& out) {
            std::vector<double> rows;
            for (const OpTensor& row : in) rows.push_back(real(row));
            floats(out[0])[0] = train::mean_loss(rows, predicted);
          }};
    if (entry_.kind == OpKind::kRowLoss)
      return {{f32({n})}, {f64()}, [=](const Tensors& in, Tensors& out) {
                set_real(out[0], kernels::rowsum(n, floats(in[0])));
              }};
    list_within(0, vocab);
    const TensorSpec logits = f32({n, vocab});
    return {{i32(n), logits}, {f32({n}), logits}, [=, this](const Tensors& in, Tensors& out) {
              copy(in[1], out[1]);
              kernels::cross_entropy(pool_, n, vocab, floats(out[1]), ints(in[0]).data(),
                                     static_cast<float>(1.0 / static_cast<double>(predicted)), true,
                                     floats(out[0]));
            }};
  }

  Form sum_squares() const {
    return {{f32(parameter(0)), f64()}, {f64()}, [this](const Tensors& in, Tensors& out) {
              set_real(out[0], real(in[1]) + kernels::sum_squares(pool_, in[0].values.size(), floats(in[0])));
            }};
  }

  Form update() const {
    const record::Recipe& recipe = log_.manifest().recipe;
    const Shape shape = parameter(0);
    const std::vector<TensorSpec> state(1 + optim::moment_names(recipe).size(), f32(shape));
    std::vector<TensorSpec> taken = state;
    taken.push_back(f32(shape));
    return {taken, state, [=, this](const Tensors& in, Tensors& out) {
              for (std::size_t i = 0; i < out.size(); ++i) copy(in[i], out[i]);
              std::vector<Buffer> moments;
              for (std::size_t i = 1; i < out.size(); ++i) moments.push_back(std::move(out[i].values));
              bool nonfinite = false;
              optim::update(log_.manifest().recipe, step_.step, step_.lr, step_.clip,
                            {entry_.at, DType::kF32, shape}, out[0].values, moments, in.back().values, pool_,
                            &nonfinite);
              require(!nonfinite, "a number that is not finite");
              for (std::size_t i = 1; i < out.size(); ++i) out[i].values = std::move(moments[i - 1]);
            }};
  }

  // The tensors that the log speaks of are of the whole batch, what a block is given are single rows.
  Form rows_of_boundary() const {
    data::Rows rows;
    if (list_) rows = data::rows_from_layout(*list_, n_);
    require(!list_ || rows.size() == n_, "a layout of ", rows.size(), " tokens for ", n_);
    const bool integers = entry_.at == "layout" || entry_.at == "tokens" || entry_.at == "labels";
    const bool pixels = entry_.at == "pixels";
    require(!pixels || (config_.images && n_ % config_.max_position == 0), "pixels of no images");
    const auto piece = [&](std::int64_t count) {
      if (pixels) return f32({count / config_.max_position, config_.images->shape.pixels()});
      return integers ? i32(count) : f32({count, config_.hidden});
    };
    Form form{{i32(-1)}, {}, {}};
    std::vector<TensorSpec> pieces;
    if (list_)
      for (std::size_t r = 0; r + 1 < rows.row_starts.size(); ++r)
        pieces.push_back(piece(rows.row_starts[r + 1] - rows.row_starts[r]));
    if (entry_.kind == OpKind::kJoin) {
      form.in.insert(form.in.end(), pieces.begin(), pieces.end());
      form.out = {piece(n_)};
    } else {
      if (entry_.at != "layout") form.in.push_back(piece(n_));
      form.out = pieces;
    }
    form.run = [positions = rows.positions](const Tensors& in, Tensors& out) {
      Bytes whole;
      if (in.size() == 1) {
        const ByteView list = std::as_bytes(std::span(positions));
        whole.assign(list.begin(), list.end());
      }
      for (std::size_t i = 1; i < in.size(); ++i)
        whole.insert(whole.end(), in[i].values.bytes().begin(), in[i].values.bytes().end());
      std::size_t at = 0;
      for (OpTensor& tensor : out) {
        const std::span<std::byte> to = tensor.values.mutable_bytes();
        std::memcpy(to.data(), whole.data() + at, to.size());
        at += to.size();
      }
    };
    return form;
  }

  const LogView& log_;
  const record::Step& step_;
  ThreadPool& pool_;
  const model::Config& config_;
  const OpEntry& entry_;
  const std::optional<std::vector<std::int32_t>>& list_;
  const std::int64_t n_;
};

// Adds up what tensors take, before any is made.
class Budget {
 public:
  explicit Budget(std::uint64_t most) : most_(most) {}
  void take(const TensorSpec& spec) {
    taken_ += byte_size(spec);
    require(most_ == 0 || taken_ <= most_, "the operation takes more than ", most_, " bytes");
  }

 private:
  std::uint64_t most_, taken_ = 0;
};

}  // namespace

std::vector<Digest> run_single_op(const OpContext& context, const OpEntry& entry, const OpInput& input) {
  std::optional<std::vector<std::int32_t>> list;
  std::optional<Forms> forms(std::in_place, context, entry, list);  // what is run refers to it
  Form form = forms->form();
  Tensors in, out;
  Budget budget(context.max_memory);
  const auto read = [&](std::size_t i) {
    const bool any_length = form.in[i].shape == Shape{-1};
    const std::int64_t most = 2 * entry.tokens;  // a document takes one token, a row one number more
    budget.take(any_length ? i32(most) : form.in[i]);
    in.push_back(input(i, form.in[i], most));
    require(hash::blake3(in.back().values.bytes(), &context.pool) == entry.in.at(i), "input ", i,
            " is not the one that the list names");
    require(is_finite(in.back(), context.pool), "input ", i, " holds a number that is not finite");
  };
  require(!form.in.empty() && !entry.in.empty(), "an operation without inputs");
  read(0);
  if (form.in[0].dtype == DType::kI32) {
    list = ints(in[0]);
    form = forms.emplace(context, entry, list).form();
  }
  require(form.in.size() == entry.in.size() && form.out.size() == entry.out.size(),
          "an operation with other inputs or outputs than ours has");
  for (std::size_t i = 1; i < form.in.size(); ++i) read(i);
  for (const TensorSpec& spec : form.out) budget.take(spec);
  for (const TensorSpec& spec : form.out)
    out.push_back({spec, Buffer(static_cast<std::int64_t>(byte_size(spec) / sizeof(float)))});
  form.run(in, out);
  std::vector<Digest> digests;
  for (const OpTensor& tensor : out) {
    require(is_finite(tensor, context.pool), "a result that is not finite");
    digests.push_back(hash::blake3(tensor.values.bytes(), &context.pool));
  }
  return digests;
}

}  // namespace aftune::audit
