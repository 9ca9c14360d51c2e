#pragma once

#include <memory>
#include <span>

#include "model/attention.h"
#include "model/embedding.h"
#include "model/layer.h"
#include "model/norm.h"
#include "model/projections.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// What one GPT-2 layer keeps of a forward pass for its backward pass. n tokens.
struct Gpt2Activations : LayerActivations {
  Matrix input;                    ///< [n, hidden]
  Matrix attention_norm;           ///< [n, hidden], input of c_attn
  AttentionActivations attention;  ///< q, k and v are the thirds of what c_attn gave
  Matrix middle;                   ///< [n, hidden], input + attention branch
  Matrix mlp_norm;                 ///< [n, hidden], input of c_fc
  Matrix fc, gelu;                 ///< [n, intermediate], before and after the activation
  NormFactors input_norm, middle_norm;
};

/// One GPT-2 layer (Radford et al. 2019, section 2.3): the decoder of Radford et al. 2018 with layer norms
/// moved to the input of each branch.
///
///   middle = x + c_proj(attention(q, k, v)),   q | k | v = c_attn(layernorm_1(x))
///   y      = middle + c_proj(gelu(c_fc(layernorm_2(middle))))
///
/// Every product has a bias, and its weight is stored as [in, out].
class Gpt2Layer : public Layer {
 public:
  explicit Gpt2Layer(const StageContext& with);

  Result forward(const LayerTensors& p, const data::Rows& rows, Matrix x, bool training) override;
  Matrix infer(const LayerTensors& p, const data::Rows& rows, Matrix x, std::span<KvCache* const> caches,
               int layer) override;
  Matrix backward(const LayerTensors& p, const data::Rows& rows, std::unique_ptr<LayerActivations> kept,
                  Matrix dy) override;

 private:
  void queries_keys_values(const LayerTensors& p, const data::Rows& rows, Gpt2Activations& keep) const;
  Matrix after_attention(const LayerTensors& p, const data::Rows& rows, Gpt2Activations& keep) const;
  Matrix mlp_branch(const LayerTensors& p, const data::Rows& rows, Gpt2Activations& keep) const;
  void mlp_backward(const LayerTensors& p, const data::Rows& rows, Gpt2Activations& kept,
                    Matrix& gradient) const;
  void attention_backward(const LayerTensors& p, const data::Rows& rows, Gpt2Activations& kept,
                          Matrix& gradient) const;

  const StageContext with_;
  const Projections projections_;
  const Attention attention_;
  const LayerNorm norm_;
  const int ln_1_, ln_2_;  ///< places in the unit, of the weights; the biases follow
};

extern const Architecture kGpt2;

/// x = wte[token] + wpe[position].
class Gpt2Embedding : public Embedding {
 public:
  explicit Gpt2Embedding(const StageContext& with) : with_(with), lookup_(with) {}
  Matrix forward(const Parameter* p, const data::Rows& rows) override;
  void backward(Parameter* p, const data::Rows& rows, const Matrix& dy) override;

 private:
  const StageContext with_;
  const Lookup lookup_;
};

}  // namespace aftune::model
