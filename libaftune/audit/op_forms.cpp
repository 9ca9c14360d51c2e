#include "audit/op_forms.h"

#include <span>

#include "audit/limits.h"
#include "data/rows.h"
#include "model/adapter.h"
#include "optim/optimizer.h"
#include "train/engine.h"

namespace aftune::audit {

using kernels::Into;
using model::OpKind;

Form OpForms::form() const {
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

void OpForms::check_tokens() const {
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

const Shape& OpForms::parameter(std::size_t rank) const {
  for (const auto* all : {&log_.tensors(), &log_.base_tensors()})
    for (const TensorSpec& spec : *all)
      if (spec.name == entry_.at && (rank == 0 || spec.shape.size() == rank)) return spec.shape;
  fail(Fault::kEvidence, "no such parameter: ", entry_.at);
}

bool OpForms::of_adapter() const {
  return model::is_of_adapter(entry_.at);
}

std::vector<std::int32_t> OpForms::list_within(std::int32_t least, std::int64_t end) const {
  if (!list_) return {};
  for (const std::int32_t id : *list_) require(id >= least && id < end, "an id that is not within the table");
  return *list_;
}

kernels::OpUses OpForms::uses() const {
  return model::op_uses(config_, log_.manifest().recipe);
}

Into OpForms::into(bool adds) {
  return adds ? Into::kAdd : Into::kStore;
}

Form OpForms::add() const {
  // Beside an adapter's A what is joined are gradients of its input.
  const TensorSpec x = entry_.kind == OpKind::kAddUses ? f32(parameter(2))
                       : of_adapter()                  ? f32({n_, parameter(2)[1]})
                                                       : f32({n_, config_.hidden});
  return {{x, x}, {x}, [this](const Tensors& in, Tensors& out) {
            kernels::add(pool_, out[0].values.size(), floats(in[0]), floats(in[1]), floats(out[0]));
          }};
}

// The head computes with the positions that have a label only.
Form OpForms::predicted_rows() const {
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
              std::memcpy(floats(out[0]) + at[static_cast<std::size_t>(i)] * h, floats(in[1]) + i * h, bytes);
          }};
}

Form OpForms::loss() const {
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

Form OpForms::sum_squares() const {
  return {{f32(parameter(0)), f64()}, {f64()}, [this](const Tensors& in, Tensors& out) {
            set_real(out[0], real(in[1]) + kernels::sum_squares(pool_, in[0].values.size(), floats(in[0])));
          }};
}

Form OpForms::update() const {
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
Form OpForms::rows_of_boundary() const {
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

}  // namespace aftune::audit
