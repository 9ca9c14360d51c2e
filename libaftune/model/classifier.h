#pragma once

#include <vector>

#include "model/head.h"
#include "model/norm.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// What a classifier of images looks at.
enum class Pooling {
  kClassToken,           ///< the class token's position, normalised (ViT)
  kClassTokenAndPatches  ///< it beside the mean of all others, each normalised (DINOv2)
};

/// The last stage of a classifier of images: the final LayerNorm, a linear map to the classes, in f32 under
/// every profile, and cross-entropy. The tensors of its unit are the norm's, then the classifier's weight and
/// bias. An image is a row, and its class the label of its first position.
class Classifier : public Head {
 public:
  Classifier(const StageContext& with, Pooling pooling);

  /// [images, classes] of x [images * positions, hidden].
  Matrix logits(const HeadTensors& p, const Matrix& x) override;
  HeadResult run(const HeadTensors& p, const data::Rows& rows, const Matrix& x, float inv_predicted,
                 bool learn) override;

 private:
  /// What the linear map takes, and what led to it.
  struct Pooled {
    Matrix x;       ///< [images, hidden], or twice as wide
    Matrix picked;  ///< what was normalised, unless all of the positions were
    NormFactors factors;
    std::vector<std::int32_t> labels;  ///< of the images
  };
  Pooled pool(const HeadTensors& p, const std::vector<std::int32_t>& labels, const Matrix& x) const;
  Matrix pool_backward(const HeadTensors& p, const data::Rows& rows, const Matrix& x, const Pooled& pooled,
                       const Matrix& d_pooled) const;
  Matrix map(const HeadTensors& p, const Matrix& x) const;
  Matrix map_backward(const HeadTensors& p, const Matrix& x, const Matrix& d_logits) const;
  std::vector<double> losses(const Parameter& weight, const Pooled& pooled, Matrix& logits,
                             float inv_predicted, bool learn) const;
  void check(const data::Rows& rows) const;

  const StageContext with_;
  const LayerNorm norm_;
  const Pooling pooling_;
  const std::int64_t positions_;
};

}  // namespace aftune::model
