#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/ops.h"
#include "model/config.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// A unit's tensors under one prefix, in the order in which they are added.
class UnitTensors {
 public:
  explicit UnitTensors(std::string prefix) : prefix_(std::move(prefix)) {}
  void add(std::string_view name, Shape shape);
  void norm(std::string_view name, std::int64_t width);  ///< weight and bias
  void linear(std::string_view name, std::int64_t out, std::int64_t in, bool bias = true);
  std::vector<TensorSpec> take() && { return std::move(list_); }

 private:
  std::string prefix_;
  std::vector<TensorSpec> list_;
};

/// Those of an ImageEmbedding, and of one that may be masked while it is pre-trained also the mask's token,
/// which a classifier makes no use of.
std::vector<TensorSpec> image_embedding_tensors(const Config& config, std::string_view prefix, bool mask);
/// Those of a Classifier of `width` inputs, whose LayerNorm is `norm`.
std::vector<TensorSpec> classifier_tensors(const Config& config, std::string_view norm, std::int64_t width);
/// What classifiers of images need besides the ops that all runs use, but for their activation.
kernels::OpUses image_ops();

}  // namespace aftune::model
