#pragma once

#include <array>
#include <span>

#include "data/rows.h"
#include "kernels/ops.h"
#include "model/adapter.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "model/layer_block.h"
#include "model/op_observer.h"
#include "model/products.h"
#include "model/projection.h"
#include "model/rope_table.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// Heads and score scale of the model's attention.
kernels::AttentionShape attention_shape(const Config& config);

/// Where the parameters of a layer stand in its unit (unit_tensors); -1: the model has none.
struct LayerSlots {
  explicit LayerSlots(const Config& config);

  std::array<int, kProjections> weight, bias;
  int input_norm, post_norm, q_norm, k_norm;
};
/// Heads side by side in the rows that a norm's weight of this name is applied to: 1 but for norms of heads.
int heads_of_norm(const Config& config, std::string_view weight);

/// A layer's tensors: the model's, in the order of unit_tensors, and those of its adapters. Where there are
/// adapters the model's stay as they are.
struct LayerTensors {
  Parameter* base = nullptr;
  Parameter* adapters = nullptr;
  int layer = 0;
  bool frozen() const { return adapters != nullptr; }
};

/// What one decoder layer keeps of a forward pass for its backward pass. n tokens.
struct LayerActivations {
  Matrix input;                            ///< [n, hidden]
  Matrix attention_norm;                   ///< [n, hidden], input of q, k and v
  Matrix q_heads, k_heads;                 ///< q and k before their norms; empty without head norms
  Matrix q, k, v;                          ///< q and k after RoPE
  Matrix attention;                        ///< [n, heads * head_dim], input of o
  Matrix middle;                           ///< [n, hidden], input + attention branch
  Matrix mlp_norm;                         ///< [n, hidden], input of gate and up
  Matrix gate, up, product;                ///< [n, intermediate], product = silu(gate) * up
  Buffer attention_inv, mlp_inv;           ///< [n], factors of the two norms
  Buffer q_inv, k_inv;                     ///< [n, heads] and [n, kv_heads], of the norms of heads
  Buffer max, sum;                         ///< [n, heads], of the softmax
  std::array<Matrix, kProjections> inner;  ///< [n, rank], what A of each adapter gave; empty without
  bool training = true;                    ///< whether adapters dropped elements
};

/// One Llama decoder layer (Touvron et al. 2023): pre-norm attention with RoPE and grouped keys, then SwiGLU.
///
///   middle = x + o(attention(rope(q(n1)), rope(k(n1)), v(n1))),  n1 = rmsnorm(x)
///   y      = middle + down(silu(gate(n2)) * up(n2)),             n2 = rmsnorm(middle)
///
/// Of other families (family.h) q, k and v have biases, or q and k are normalised head by head before RoPE:
/// rope(rmsnorm(q(n1))).
///
/// Any projection may have an adapter beside it (adapter.h). The RoPE table must cover the rows' positions.
class LlamaLayer {
 public:
  LlamaLayer(const Config& config, const RopeTable& rope, Products& products, const Adapters& adapters,
             ThreadPool& pool, OpObserver* ops = nullptr)
      : config_(config),
        slots_(config),
        rope_(rope),
        products_(products),
        adapters_(adapters),
        pool_(pool),
        ops_(ops) {}

  /// x [n, hidden] is moved into `keep`. Returns y [n, hidden]. Adapters drop elements if keep.training says
  /// so.
  Matrix forward(const LayerTensors& p, const data::Rows& rows, Matrix x, LayerActivations& keep) const;
  /// The same for rows that continue the sequences of `caches`, one for each document, whose layer `layer`
  /// this is.
  Matrix infer(const LayerTensors& p, const data::Rows& rows, Matrix x, std::span<KvCache* const> caches,
               int layer) const;
  /// Adds the parameters' gradients and returns the gradient of x. Takes `kept` apart on its way, so that
  /// memory falls while gradients are made.
  Matrix backward(const LayerTensors& p, const data::Rows& rows, LayerActivations kept, Matrix dy) const;

 private:
  using Which = Projection;
  const Parameter& weight(const LayerTensors& p, Which which) const {
    return p.base[slots_.weight[place(which)]];
  }
  Matrix project(const LayerTensors& p, Which which, const data::Rows& rows, Products::Input& x,
                 LayerActivations& keep) const;
  struct Branch {
    Which which;
    const Matrix& dy;
  };
  void weights_backward(const LayerTensors& p, const data::Rows& rows, const Matrix& x,
                        std::initializer_list<Branch> branches, LayerActivations& kept) const;
  void inputs_backward(const LayerTensors& p, const data::Rows& rows, std::initializer_list<Branch> branches,
                       LayerActivations& kept, Matrix& dx) const;

  void queries_keys_values(const LayerTensors& p, const data::Rows& rows, LayerActivations& keep) const;
  void attend(const LayerTensors& p, const data::Rows& rows, LayerActivations& keep) const;
  void attend_to(std::span<KvCache* const> caches, int layer, const data::Rows& rows,
                 LayerActivations& keep) const;
  Matrix after_attention(const LayerTensors& p, const data::Rows& rows, LayerActivations& keep) const;
  Matrix mlp_branch(const LayerTensors& p, const data::Rows& rows, LayerActivations& keep) const;
  void mlp_backward(const LayerTensors& p, const data::Rows& rows, LayerActivations& kept,
                    Matrix& gradient) const;
  void attention_backward(const LayerTensors& p, const data::Rows& rows, LayerActivations& kept,
                          Matrix& gradient) const;

  Matrix norm(const Parameter& weight, const Matrix& x, Buffer& inv_rms) const;
  void norm_backward(Parameter& weight, bool frozen, const data::Rows& rows, const Matrix& x,
                     const Buffer& inv_rms, const Matrix& dy, Matrix& dx) const;
  void add_bias(const Parameter& bias, Matrix& x) const;
  void bias_backward(Parameter& bias, const data::Rows& rows, const Matrix& dy) const;
  void norm_heads(const Parameter& weight, Matrix& x, Matrix& before, Buffer& inv_rms) const;
  void norm_heads_backward(Parameter& weight, bool frozen, const data::Rows& rows, const Matrix& before,
                           const Buffer& inv_rms, Matrix& dx) const;
  void rotate(const Parameter& weight, const data::Rows& rows, bool inverse, Matrix& x) const;
  void add(const Parameter& weight, const Matrix& x, Matrix& branch) const;

  const Config& config_;
  const LayerSlots slots_;
  const RopeTable& rope_;
  Products& products_;
  const Adapters& adapters_;
  ThreadPool& pool_;
  OpObserver* ops_;
};

}  // namespace aftune::model
