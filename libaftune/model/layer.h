#pragma once

#include <array>
#include <memory>
#include <span>

#include "data/rows.h"
#include "model/adapter.h"
#include "model/kv_cache.h"
#include "model/layer_block.h"
#include "model/op_observer.h"
#include "model/products.h"
#include "model/projection.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// What the stages of a block compute with. All of it outlives them.
struct StageContext {
  const Config& config;
  Products& products;
  const Adapters& adapters;
  ThreadPool& pool;
  OpObserver* ops = nullptr;
};

/// A layer's tensors: the model's, in the order of unit_tensors, and those of its adapters. Where there are
/// adapters the model's stay as they are.
struct LayerTensors {
  Parameter* base = nullptr;
  Parameter* adapters = nullptr;
  int layer = 0;
  bool frozen() const { return adapters != nullptr; }
};

/// What a layer keeps of a forward pass for its backward pass; each kind of layer adds its own.
struct LayerActivations {
  virtual ~LayerActivations() = default;
  std::array<Matrix, kProjections> inner;  ///< [n, rank], what A of each adapter gave; empty without
  bool training = true;                    ///< whether adapters dropped elements
};

/// A layer of one architecture. One object serves all layers of a block: it holds no state of theirs.
class Layer {
 public:
  virtual ~Layer() = default;

  struct Result {
    Matrix out;  ///< [n, hidden]
    std::unique_ptr<LayerActivations> kept;
  };
  /// x is [n, hidden]. Adapters drop elements if `training` says so.
  virtual Result forward(const LayerTensors& p, const data::Rows& rows, Matrix x, bool training) = 0;
  /// The same for rows that continue the sequences of `caches`, one for each document, whose layer `layer`
  /// this is. Of causal layers only.
  virtual Matrix infer(const LayerTensors& p, const data::Rows& rows, Matrix x,
                       std::span<KvCache* const> caches, int layer) = 0;
  /// Adds the parameters' gradients and returns the gradient of x. Takes `kept` apart on its way, so that
  /// memory falls while gradients are made.
  virtual Matrix backward(const LayerTensors& p, const data::Rows& rows,
                          std::unique_ptr<LayerActivations> kept, Matrix dy) = 0;
};

/// branch = x + branch: adds the residual to the branch that ends in the product with `weight`.
void add_residual(const StageContext& with, const Parameter& weight, const Matrix& x, Matrix& branch);

/// The place of a layer's tensor in its unit, by its name inside the layer; -1: the model has none.
int slot_in_layer(const Config& config, std::string_view name);

inline ByteView bytes_of(const std::vector<std::int32_t>& list) {
  return std::as_bytes(std::span(list));
}

/// Gives up what is no longer needed.
template <class... Used>
void release(Used&... used) {
  ((used = Used()), ...);
}

}  // namespace aftune::model
