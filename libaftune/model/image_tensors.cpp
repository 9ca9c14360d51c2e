#include "model/image_tensors.h"

#include "base/error.h"

namespace aftune::model {

void UnitTensors::add(std::string_view name, Shape shape) {
  list_.push_back({cat(prefix_, name), DType::kF32, std::move(shape)});
}

void UnitTensors::norm(std::string_view name, std::int64_t width) {
  add(cat(name, ".weight"), {width});
  add(cat(name, ".bias"), {width});
}

void UnitTensors::linear(std::string_view name, std::int64_t out, std::int64_t in, bool bias) {
  add(cat(name, ".weight"), {out, in});
  if (bias) add(cat(name, ".bias"), {out});
}

std::vector<TensorSpec> image_embedding_tensors(const Config& c, std::string_view prefix, bool mask) {
  const kernels::ImageShape& shape = c.images->shape;
  UnitTensors list{std::string(prefix)};
  list.add("cls_token", {1, 1, c.hidden});
  if (mask) list.add("mask_token", {1, c.hidden});
  list.add("position_embeddings", {1, 1 + shape.patches(), c.hidden});
  list.add("patch_embeddings.projection.weight", {c.hidden, shape.channels, shape.patch, shape.patch});
  list.add("patch_embeddings.projection.bias", {c.hidden});
  return std::move(list).take();
}

std::vector<TensorSpec> classifier_tensors(const Config& c, std::string_view norm, std::int64_t width) {
  UnitTensors list("");
  list.norm(norm, c.hidden);
  list.linear("classifier", c.images->labels, width);
  return std::move(list).take();
}

kernels::OpUses image_ops() {
  kernels::OpUses uses;
  uses.biases = true;
  uses.rmsnorm = uses.rope = uses.swiglu = false;
  uses.layernorm = true;
  uses.images = true;
  return uses;
}

}  // namespace aftune::model
