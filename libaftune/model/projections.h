#pragma once

#include <array>
#include <initializer_list>

#include "data/rows.h"
#include "model/layer.h"
#include "model/products.h"
#include "model/projection.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// The products of a layer: y = W x, a bias where the model has one, and what an adapter adds.
class Projections {
 public:
  explicit Projections(const StageContext& with);

  const Parameter& weight(const LayerTensors& p, Projection which) const {
    return p.base[weights_[place(which)]];
  }
  /// x is [n, in]; returns [n, out].
  Matrix forward(const LayerTensors& p, Projection which, const data::Rows& rows, Products::Input& x,
                 LayerActivations& keep) const;
  /// A product and the gradient of what came out of it.
  struct Branch {
    Projection which;
    const Matrix& dy;
  };
  /// Adds the gradients of weights, biases and adapters. x is what the products read.
  void weights_backward(const LayerTensors& p, const data::Rows& rows, const Matrix& x,
                        std::initializer_list<Branch> branches, LayerActivations& kept) const;
  /// dx becomes the gradient of what the products read: the branches' sum, in their order.
  void inputs_backward(const LayerTensors& p, const data::Rows& rows, std::initializer_list<Branch> branches,
                       LayerActivations& kept, Matrix& dx) const;

 private:
  Weight matrix(const LayerTensors& p, Projection which) const;

  const StageContext with_;
  std::array<int, kProjections> weights_, biases_;  ///< places in the unit; -1: none
};

/// x = x + bias, and adds the bias's gradient.
void add_bias(const StageContext& with, const Parameter& bias, Matrix& x);
void bias_backward(const StageContext& with, Parameter& bias, const data::Rows& rows, const Matrix& dy);

}  // namespace aftune::model
