#pragma once

#include <span>

#include "data/rows.h"
#include "kernels/ops.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "model/layer_block.h"
#include "model/op_observer.h"
#include "model/products.h"
#include "model/rope_table.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// Heads and score scale of the model's attention.
kernels::AttentionShape attention_shape(const Config& config);

/// A layer's products.
enum class Projection { kQ, kK, kV, kO, kGate, kUp, kDown };
inline constexpr int kProjections = 7;

/// Where the parameters of a layer stand in its unit (unit_tensors); -1: the model has none.
struct LayerSlots {
  explicit LayerSlots(const Config& config);

  int weight[kProjections], bias[kProjections];
  int input_norm, post_norm, q_norm, k_norm;
};
/// Heads side by side in the rows that a norm's weight of this name is applied to: 1 but for norms of heads.
int heads_of_norm(const Config& config, std::string_view weight);

/// What one decoder layer keeps of a forward pass for its backward pass. n tokens.
struct LayerActivations {
  Matrix input;                   ///< [n, hidden]
  Matrix attention_norm;          ///< [n, hidden], input of q, k and v
  Matrix q_heads, k_heads;        ///< q and k before their norms; empty without head norms
  Matrix q, k, v;                 ///< q and k after RoPE
  Matrix attention;               ///< [n, heads * head_dim], input of o
  Matrix middle;                  ///< [n, hidden], input + attention branch
  Matrix mlp_norm;                ///< [n, hidden], input of gate and up
  Matrix gate, up, product;       ///< [n, intermediate], product = silu(gate) * up
  Buffer attention_inv, mlp_inv;  ///< [n], factors of the two norms
  Buffer q_inv, k_inv;            ///< [n, heads] and [n, kv_heads], of the norms of heads
  Buffer max, sum;                ///< [n, heads], of the softmax
};

/// One Llama decoder layer (Touvron et al. 2023): pre-norm attention with RoPE and grouped keys, then SwiGLU.
///
///   middle = x + o(attention(rope(q(n1)), rope(k(n1)), v(n1))),  n1 = rmsnorm(x)
///   y      = middle + down(silu(gate(n2)) * up(n2)),             n2 = rmsnorm(middle)
///
/// Of other families (family.h) q, k and v have biases, or q and k are normalised head by head before RoPE:
/// rope(rmsnorm(q(n1))).
///
/// `p` is where the layer's parameters begin, in the order of unit_tensors. The RoPE table must cover the
/// rows' positions.
class LlamaLayer {
 public:
  LlamaLayer(const Config& config, const RopeTable& rope, Products& products, ThreadPool& pool,
             OpObserver* ops = nullptr)
      : config_(config), slots_(config), rope_(rope), products_(products), pool_(pool), ops_(ops) {}

  /// x [n, hidden] is moved into `keep`. Returns y [n, hidden].
  Matrix forward(const Parameter* p, const data::Rows& rows, Matrix x, LayerActivations& keep) const;
  /// The same for rows that continue the sequences of `caches`, one for each document, whose layer `layer`
  /// this is.
  Matrix infer(const Parameter* p, const data::Rows& rows, Matrix x, std::span<KvCache* const> caches,
               int layer) const;
  /// Adds the parameters' gradients and returns the gradient of x. Takes `kept` apart on its way, so that
  /// memory falls while gradients are made.
  Matrix backward(Parameter* p, const data::Rows& rows, LayerActivations kept, Matrix dy) const;

 private:
  using Which = Projection;
  const Parameter& weight(const Parameter* p, Which which) const { return p[slots_.weight[int(which)]]; }
  Matrix project(const Parameter* p, Which which, Products::Input& x) const;
  struct Branch {
    Which which;
    const Matrix& dy;
  };
  void weights_backward(Parameter* p, const data::Rows& rows, const Matrix& x,
                        std::initializer_list<Branch> branches) const;
  void inputs_backward(const Parameter* p, std::initializer_list<Branch> branches, Matrix& dx) const;

  void queries_keys_values(const Parameter* p, const data::Rows& rows, LayerActivations& keep) const;
  void attend(const Parameter* p, const data::Rows& rows, LayerActivations& keep) const;
  void attend_to(std::span<KvCache* const> caches, int layer, const data::Rows& rows,
                 LayerActivations& keep) const;
  Matrix after_attention(const Parameter* p, LayerActivations& keep) const;
  Matrix mlp_branch(const Parameter* p, LayerActivations& keep) const;
  void mlp_backward(Parameter* p, const data::Rows& rows, LayerActivations& kept, Matrix& gradient) const;
  void attention_backward(Parameter* p, const data::Rows& rows, LayerActivations& kept,
                          Matrix& gradient) const;

  Matrix norm(const Parameter& weight, const Matrix& x, Buffer& inv_rms) const;
  void norm_backward(Parameter& weight, const data::Rows& rows, const Matrix& x, const Buffer& inv_rms,
                     const Matrix& dy, Matrix& dx) const;
  void add_bias(const Parameter& bias, Matrix& x) const;
  void bias_backward(Parameter& bias, const data::Rows& rows, const Matrix& dy) const;
  void norm_heads(const Parameter& weight, Matrix& x, Matrix& before, Buffer& inv_rms) const;
  void norm_heads_backward(Parameter& weight, const data::Rows& rows, const Matrix& before,
                           const Buffer& inv_rms, Matrix& dx) const;
  void rotate(const Parameter& weight, const data::Rows& rows, bool inverse, Matrix& x) const;
  void add(const Parameter& weight, const Matrix& x, Matrix& branch) const;

  const Config& config_;
  const LayerSlots slots_;
  const RopeTable& rope_;
  Products& products_;
  ThreadPool& pool_;
  OpObserver* ops_;
};

}  // namespace aftune::model
