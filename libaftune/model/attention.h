#pragma once

#include <span>
#include <string_view>

#include "data/rows.h"
#include "kernels/ops.h"
#include "model/kv_cache.h"
#include "model/layer.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// Heads and score scale of the model's attention, and whether it is causal: of images it is not.
kernels::AttentionShape attention_shape(const Config& config);

/// What attention takes and what it keeps for its backward pass. n tokens.
struct AttentionActivations {
  Matrix q, k, v;   ///< [n, heads * head_dim], k and v [n, kv_heads * head_dim]
  Matrix out;       ///< like q
  Buffer max, sum;  ///< [n, heads], of the softmax
};

/// Attention within each document (Vaswani et al. 2017). `at` is the weight of the product that
/// follows it.
class Attention {
 public:
  explicit Attention(const StageContext& with) : with_(with) {}

  /// From q, k and v all the rest.
  void forward(std::string_view at, const data::Rows& rows, AttentionActivations& a) const;
  /// The same for positions that continue those of `caches`, one for each document, to which k and v are
  /// added.
  void continued(std::span<KvCache* const> caches, int layer, const data::Rows& rows,
                 AttentionActivations& a) const;
  struct Gradients {
    Matrix q, k, v;
  };
  /// Gives up what `a` holds.
  Gradients backward(std::string_view at, const data::Rows& rows, AttentionActivations& a,
                     Matrix d_out) const;

 private:
  void make_room(AttentionActivations& a) const;
  const StageContext with_;
};

}  // namespace aftune::model
