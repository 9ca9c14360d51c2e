// The forms of operations that only classifiers of images have.
#include "audit/op_forms.h"
#include "kernels/image_ops.h"
#include "model/architecture.h"

namespace aftune::audit {

using model::OpKind;

Form OpForms::layer_scale() const {
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
            kernels::layer_scale_grad_weight(pool_, 1, row, h, floats(in[0]), floats(in[1]), floats(out[0]));
          }};
}

// A row of a run on images is all of the positions of one.
void OpForms::require_image() const {
  require(config_.images.has_value() && n_ == config_.max_position, "a row of ", n_, " positions");
}

Form OpForms::patches() const {
  require_image();
  const kernels::ImageShape shape = config_.images->shape;
  return {{f32({1, shape.pixels()})},
          {f32({shape.patches(), shape.patch_width()})},
          [=, this](const Tensors& in, Tensors& out) {
            kernels::patches(pool_, shape, 1, floats(in[0]), floats(out[0]));
          }};
}

// The class token's row, and behind it those of the patches.
Form OpForms::class_token() const {
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

Form OpForms::class_mean() const {
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

}  // namespace aftune::audit
