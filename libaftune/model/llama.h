#pragma once

#include <memory>
#include <span>

#include "model/attention.h"
#include "model/config_reader.h"
#include "model/family.h"
#include "model/layer.h"
#include "model/norm.h"
#include "model/projections.h"
#include "model/rope_table.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// What one Llama layer keeps of a forward pass for its backward pass. n tokens.
struct LlamaActivations : LayerActivations {
  Matrix input;                    ///< [n, hidden]
  Matrix attention_norm;           ///< [n, hidden], input of q, k and v
  Matrix q_heads, k_heads;         ///< q and k before their norms; empty without head norms
  AttentionActivations attention;  ///< q and k after RoPE
  Matrix middle;                   ///< [n, hidden], input + attention branch
  Matrix mlp_norm;                 ///< [n, hidden], input of gate and up
  Matrix gate, up, product;        ///< [n, intermediate], product = silu(gate) * up
  NormFactors input_norm, middle_norm, q_norm, k_norm;
};

/// One Llama decoder layer (Touvron et al. 2023): pre-norm attention with RoPE and grouped keys, then SwiGLU.
///
///   middle = x + o(attention(rope(q(n1)), rope(k(n1)), v(n1))),  n1 = rmsnorm(x)
///   y      = middle + down(silu(gate(n2)) * up(n2)),             n2 = rmsnorm(middle)
///
/// Of other families (family.h) q, k and v have biases, or q and k are normalised head by head before RoPE:
/// rope(rmsnorm(q(n1))).
///
/// Any projection may have an adapter beside it (adapter.h).
class LlamaLayer : public Layer {
 public:
  explicit LlamaLayer(const StageContext& with);

  Result forward(const LayerTensors& p, const data::Rows& rows, Matrix x, bool training) override;
  Matrix infer(const LayerTensors& p, const data::Rows& rows, Matrix x, std::span<KvCache* const> caches,
               int layer) override;
  Matrix backward(const LayerTensors& p, const data::Rows& rows, std::unique_ptr<LayerActivations> kept,
                  Matrix dy) override;

 private:
  void queries_keys_values(const LayerTensors& p, const data::Rows& rows, LlamaActivations& keep);
  Matrix after_attention(const LayerTensors& p, const data::Rows& rows, LlamaActivations& keep) const;
  Matrix mlp_branch(const LayerTensors& p, const data::Rows& rows, LlamaActivations& keep) const;
  void mlp_backward(const LayerTensors& p, const data::Rows& rows, LlamaActivations& kept,
                    Matrix& gradient) const;
  void attention_backward(const LayerTensors& p, const data::Rows& rows, LlamaActivations& kept,
                          Matrix& gradient) const;
  void norm_heads(const Parameter& weight, Matrix& x, Matrix& before, NormFactors& factors) const;
  void norm_heads_backward(Parameter& weight, bool frozen, const data::Rows& rows, const Matrix& before,
                           const NormFactors& factors, Matrix& dx) const;
  void rotate(const Parameter& weight, const data::Rows& rows, bool inverse, Matrix& x) const;

  const StageContext with_;
  const Projections projections_;
  const Attention attention_;
  const RmsNorm norm_;
  RopeTable rope_;
  const int input_norm_, post_norm_, q_norm_, k_norm_;  ///< places in the unit; -1: the model has none
};

/// Heads side by side in the rows that a norm's weight of this name is applied to: 1 but for norms of heads.
int heads_of_norm(const Config& config, std::string_view weight);

/// Fills what config.json says of this architecture.
void read_llama_config(const ConfigReader& in, const Family& family, Config& config);

}  // namespace aftune::model
