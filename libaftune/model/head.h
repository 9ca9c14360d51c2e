#pragma once

#include <vector>

#include "data/rows.h"
#include "model/layer.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// What the head computes with: the tensors of its unit and, where its matrix is the embedding's too, that
/// matrix, whose gradient by this use is added to `tied_gradient`, of its size.
struct HeadTensors {
  Parameter* own = nullptr;
  const Parameter* tied = nullptr;
  Buffer* tied_gradient = nullptr;
  bool frozen = false;  ///< no gradient of them is made, only that of the input
};

/// What the head computes for some rows: their losses and, when it learns, the gradient of its input.
struct HeadResult {
  std::vector<double> row_losses;  ///< per row, rowsum of the losses of its predicted positions
  Matrix d_input;                  ///< [n, hidden]; empty without gradient
};

/// The last stage of one architecture: what it makes of the layers' result, and the loss.
class Head {
 public:
  virtual ~Head() = default;
  /// Raw logits of x [n, hidden].
  virtual Matrix logits(const HeadTensors& p, const Matrix& x) = 0;
  /// Forward and, if it is to `learn`, backward in one pass. inv_predicted is 1 / (predicted positions of
  /// the batch); without learning no gradient is touched.
  virtual HeadResult run(const HeadTensors& p, const data::Rows& rows, const Matrix& x, float inv_predicted,
                         bool learn) = 0;
};

}  // namespace aftune::model
