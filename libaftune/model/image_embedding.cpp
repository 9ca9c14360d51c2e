#include "model/image_embedding.h"

#include <cstring>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "kernels/image_ops.h"
#include "kernels/ops.h"
#include "model/projections.h"

namespace aftune::model {
namespace {

int place_of(const Config& config, std::string_view end) {
  const std::vector<TensorSpec> specs = unit_tensors(config, 0);
  for (std::size_t i = 0; i < specs.size(); ++i)
    if (specs[i].name.ends_with(end)) return static_cast<int>(i);
  AFTUNE_CHECK(false);
  return -1;
}

// Rows of class tokens and of patches, in images of so many positions.
struct Places {
  std::vector<std::int64_t> classes, patches;
  Places(std::int64_t images, std::int64_t positions) {
    for (std::int64_t i = 0; i < images * positions; ++i)
      (i % positions == 0 ? classes : patches).push_back(i);
  }
};

// Where images begin, of which each has so many rows.
std::vector<std::int64_t> starts_of(std::int64_t images, std::int64_t rows) {
  std::vector<std::int64_t> starts(static_cast<std::size_t>(images + 1));
  for (std::int64_t i = 0; i <= images; ++i) starts[static_cast<std::size_t>(i)] = i * rows;
  return starts;
}

}  // namespace

ImageEmbedding::ImageEmbedding(const StageContext& with)
    : with_(with),
      shape_(with.config.images->shape),
      positions_(1 + shape_.patches()),
      class_(place_of(with.config, ".cls_token")),
      position_(place_of(with.config, ".position_embeddings")),
      weight_(place_of(with.config, ".projection.weight")),
      bias_(place_of(with.config, ".projection.bias")) {}

Matrix ImageEmbedding::patches_of(const Parameter& weight, const data::Rows& rows) const {
  const std::int64_t images = rows.rows();
  AFTUNE_CHECK(rows.size() == images * positions_);
  AFTUNE_CHECK(std::ssize(rows.pixels) == images * shape_.pixels());
  // Where a device reaches them.
  Matrix pixels(images, shape_.pixels()), patches(images * shape_.patches(), shape_.patch_width());
  with_.pool.wait_for_accelerator();
  std::memcpy(pixels.data(), rows.pixels.data(), pixels.bytes().size());
  observed(with_.ops, {OpKind::kPatches, weight.spec.name, rows.size()}, {pixels.bytes()}, {patches.bytes()},
           [&] { kernels::patches(with_.pool, shape_, images, pixels.data(), patches.data()); });
  return patches;
}

Matrix ImageEmbedding::project(const Parameter* p, const Matrix& patches) const {
  const Parameter &weight = p[weight_], &bias = p[bias_];
  Matrix y(patches.rows, with_.config.hidden);
  observed(with_.ops, {OpKind::kLinear, weight.spec.name, patches.rows},
           {patches.bytes(), weight.value.bytes()}, {y.bytes()}, [&] {
             kernels::linear(with_.pool, patches.rows, patches.cols, y.cols, patches.data(),
                             weight.value.data(), y.data());
           });
  add_bias(with_, bias, y);
  return y;
}

Matrix ImageEmbedding::forward(const Parameter* p, const data::Rows& rows) {
  const std::int64_t images = rows.rows(), hidden = with_.config.hidden;
  const Matrix projected = project(p, patches_of(p[weight_], rows));
  const Parameter &token = p[class_], &position = p[position_];
  const Places places(images, positions_);
  Matrix x(rows.size(), hidden);
  observed(with_.ops, {OpKind::kClassToken, token.spec.name, x.rows},
           {projected.bytes(), token.value.bytes()}, {x.bytes()}, [&] {
             kernels::scatter_rows(with_.pool, projected.rows, hidden, places.patches.data(),
                                   projected.data(), x.data());
             const std::vector<std::int32_t> same(static_cast<std::size_t>(images), 0);
             Matrix classes(images, hidden);
             kernels::embedding(with_.pool, images, hidden, same.data(), token.value.data(), classes.data());
             kernels::scatter_rows(with_.pool, images, hidden, places.classes.data(), classes.data(),
                                   x.data());
           });
  // The table is as long as an image: it is a bias of each.
  x.rows = images;
  x.cols = positions_ * hidden;
  add_bias(with_, position, x);
  x.rows = rows.size();
  x.cols = hidden;
  return x;
}

void ImageEmbedding::backward(Parameter* p, const data::Rows& rows, const Matrix& dy) {
  const std::int64_t images = rows.rows(), hidden = with_.config.hidden;
  Parameter &token = p[class_], &position = p[position_], &weight = p[weight_], &bias = p[bias_];
  const std::vector<std::int64_t> each = starts_of(images, 1),
                                  by_patches = starts_of(images, shape_.patches());
  const auto bias_grad = [&](Parameter& to, const std::vector<std::int64_t>& starts, std::int64_t width,
                             const Matrix& d) {
    observed(with_.ops, {OpKind::kBiasGrad, to.spec.name, starts.back()}, {d.bytes(), to.gradient.bytes()},
             {to.gradient.bytes()}, [&] {
               kernels::bias_grad(with_.pool, images, starts.data(), width, d.data(), to.gradient.data());
             });
  };
  bias_grad(position, each, positions_ * hidden, dy);
  const Places places(images, positions_);
  Matrix d_class(images, hidden), d_patches(images * shape_.patches(), hidden);
  observed(with_.ops, {OpKind::kClassTokenGrad, token.spec.name, dy.rows}, {dy.bytes()},
           {d_class.bytes(), d_patches.bytes()}, [&] {
             kernels::gather_rows(with_.pool, images, hidden, places.classes.data(), dy.data(),
                                  d_class.data());
             kernels::gather_rows(with_.pool, d_patches.rows, hidden, places.patches.data(), dy.data(),
                                  d_patches.data());
           });
  bias_grad(token, each, hidden, d_class);
  bias_grad(bias, by_patches, hidden, d_patches);
  const Matrix patches = patches_of(weight, rows);
  observed(with_.ops, {OpKind::kLinearGradWeight, weight.spec.name, patches.rows},
           {d_patches.bytes(), patches.bytes(), weight.gradient.bytes()}, {weight.gradient.bytes()}, [&] {
             kernels::linear_grad_weight(with_.pool, images, by_patches.data(), patches.cols, hidden,
                                         d_patches.data(), patches.data(), weight.gradient.data());
           });
}

}  // namespace aftune::model
