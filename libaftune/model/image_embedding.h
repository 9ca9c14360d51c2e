#pragma once

#include "model/embedding.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// The first stage of a vision transformer: the patches of each image through one matrix (a convolution whose
/// stride is its size), the class token before them, and a position's own vector added to each. In f32 under
/// every profile. Its tensors are `cls_token`, `position_embeddings` and the projection's weight and bias, by
/// the ends of their names; of others (DINOv2's mask_token) it makes no use.
class ImageEmbedding : public Embedding {
 public:
  explicit ImageEmbedding(const StageContext& with);
  Matrix forward(const Parameter* p, const data::Rows& rows) override;
  void backward(Parameter* p, const data::Rows& rows, const Matrix& dy) override;

 private:
  Matrix patches_of(const Parameter& weight, const data::Rows& rows) const;
  Matrix project(const Parameter* p, const Matrix& patches) const;

  const StageContext with_;
  const kernels::ImageShape shape_;
  const std::int64_t positions_;
  const int class_, position_, weight_, bias_;  ///< places in the unit
};

}  // namespace aftune::model
