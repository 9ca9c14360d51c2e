#pragma once

#include <cstdint>

#include "data/rows.h"
#include "model/config.h"
#include "model/layer_block.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// cos and sin of every position's RoPE angles, [positions, head_dim / 2] each.
struct RopeTable {
  Buffer cos;
  Buffer sin;
  static RopeTable make(const Config& config, std::int64_t positions);
};

/// What one decoder layer keeps of a forward pass for its backward pass. n tokens.
struct LayerActivations {
  Matrix input;                   ///< [n, hidden]
  Matrix attention_norm;          ///< [n, hidden], input of q, k and v
  Matrix q, k, v;                 ///< after RoPE
  Matrix attention;               ///< [n, heads * head_dim], input of o
  Matrix middle;                  ///< [n, hidden], input + attention branch
  Matrix mlp_norm;                ///< [n, hidden], input of gate and up
  Matrix gate, up, product;       ///< [n, intermediate], product = silu(gate) * up
  Buffer attention_inv, mlp_inv;  ///< [n], factors of the two norms
  Buffer max, sum;                ///< [n, heads], of the softmax
};

/// One Llama decoder layer (Touvron et al. 2023): pre-norm attention with RoPE and grouped keys, then SwiGLU.
///
///   middle = x + o(attention(rope(q(n1)), rope(k(n1)), v(n1))),  n1 = rmsnorm(x)
///   y      = middle + down(silu(gate(n2)) * up(n2)),             n2 = rmsnorm(middle)
///
/// Works on the parameters [0, 9) that it is given, in the order of unit_tensors.
class LlamaLayer {
 public:
  LlamaLayer(const Config& config, const RopeTable& rope, ThreadPool& pool)
      : config_(config), rope_(rope), pool_(pool) {}

  /// x [n, hidden] is moved into `keep`. Returns y [n, hidden].
  Matrix forward(const Parameter* parameters, const data::Rows& rows, Matrix x, LayerActivations& keep) const;
  /// Adds the parameters' gradients and returns the gradient of x. Frees what it has used of `kept`.
  Matrix backward(Parameter* parameters, const data::Rows& rows, LayerActivations& kept, Matrix dy) const;

 private:
  Matrix attend(const Parameter* parameters, const data::Rows& rows, LayerActivations& keep) const;
  Matrix attend_backward(Parameter* parameters, const data::Rows& rows, LayerActivations& kept,
                         const Matrix& d_attention) const;
  Matrix linear(const Parameter& weight, const Matrix& x) const;
  void linear_gradient(Parameter& weight, const data::Rows& rows, const Matrix& dy, const Matrix& x) const;

  const Config& config_;
  const RopeTable& rope_;
  ThreadPool& pool_;
};

}  // namespace aftune::model
