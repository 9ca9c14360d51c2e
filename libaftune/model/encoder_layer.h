#pragma once

#include <memory>
#include <span>

#include "model/attention.h"
#include "model/layer.h"
#include "model/norm.h"
#include "model/projections.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// Names inside a layer of what is not a product; "" where the model has none.
struct EncoderNames {
  std::string_view attention_norm, mlp_norm;    ///< without ".weight" and ".bias"
  std::string_view attention_scale, mlp_scale;  ///< layer scale
  bool swiglu = false;                          ///< the product `up` gives gate and up side by side
};

/// What one encoder layer keeps of a forward pass for its backward pass. n positions.
struct EncoderActivations : LayerActivations {
  Matrix input;                    ///< [n, hidden]
  Matrix attention_norm;           ///< [n, hidden], input of q, k and v
  AttentionActivations attention;  ///< to all positions
  Matrix attention_branch;         ///< [n, hidden], before its scale; empty without
  Matrix middle;                   ///< [n, hidden], input + attention branch
  Matrix mlp_norm;                 ///< [n, hidden], input of up
  Matrix gate;                     ///< [n, intermediate], with SwiGLU only
  Matrix up, product;              ///< [n, intermediate], product = gelu(up), or silu(gate) * up
  Matrix mlp_branch;               ///< as attention_branch
  NormFactors input_norm, middle_norm;
};

/// One layer of a vision transformer (Dosovitskiy et al. 2021): pre-norm attention to all positions, then the
/// feed-forward part.
///
///   middle = x + ls1 * o(attention(q(n1), k(n1), v(n1))),  n1 = layernorm(x)
///   y      = middle + ls2 * down(gelu(up(n2))),            n2 = layernorm(middle)
///
/// ls1 and ls2 are layer scale (Touvron et al. 2021), a factor of each column, where the model has it. Any
/// projection may have an adapter beside it (adapter.h).
class EncoderLayer : public Layer {
 public:
  EncoderLayer(const StageContext& with, const EncoderNames& names);

  Result forward(const LayerTensors& p, const data::Rows& rows, Matrix x, bool training) override;
  /// There is none: what comes later is seen too.
  Matrix infer(const LayerTensors& p, const data::Rows& rows, Matrix x, std::span<KvCache* const> caches,
               int layer) override;
  Matrix backward(const LayerTensors& p, const data::Rows& rows, std::unique_ptr<LayerActivations> kept,
                  Matrix dy) override;

 private:
  Matrix attention_branch(const LayerTensors& p, const data::Rows& rows, EncoderActivations& keep) const;
  Matrix mlp_branch(const LayerTensors& p, const data::Rows& rows, EncoderActivations& keep) const;
  void activate(const LayerTensors& p, EncoderActivations& keep) const;
  void activate_backward(const LayerTensors& p, EncoderActivations& kept) const;
  void attention_backward(const LayerTensors& p, const data::Rows& rows, EncoderActivations& kept,
                          Matrix& gradient) const;
  void mlp_backward(const LayerTensors& p, const data::Rows& rows, EncoderActivations& kept,
                    Matrix& gradient) const;
  void scale(const LayerTensors& p, int slot, Matrix& branch, Matrix& before) const;
  const Matrix& scale_backward(const LayerTensors& p, int slot, const data::Rows& rows, const Matrix& dy,
                               Matrix& before) const;

  const StageContext with_;
  const Projections projections_;
  const Attention attention_;
  const LayerNorm norm_;
  const bool swiglu_;
  const int attention_norm_, mlp_norm_, attention_scale_, mlp_scale_;  ///< places in the unit; -1: none
};

}  // namespace aftune::model
