#pragma once

#include <cstdint>
#include <vector>

#include "model/config.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// What the layers of one stage keep of a sequence's positions, so that later ones can attend to them: keys,
/// after RoPE, and values, f32. Grows as it is filled.
class KvCache {
 public:
  /// Memory is taken as it is filled, and for no more than `most` positions if no more come; 0: as many as
  /// the model has.
  KvCache(const Config& config, int layers, std::int64_t most = 0);

  std::int64_t length() const { return length_; }  ///< positions that every layer has
  /// Adds the keys and values [count, kv_heads * head_dim] of the positions from length() on. Each layer
  /// once, then advance.
  void append(ThreadPool& pool, int layer, std::int64_t count, const float* keys, const float* values);
  void advance(std::int64_t count) { length_ += count; }
  /// [length + what was appended, kv_heads * head_dim]; valid until the next append.
  const float* keys(int layer) const { return layers_[static_cast<std::size_t>(layer)].keys.data(); }
  const float* values(int layer) const { return layers_[static_cast<std::size_t>(layer)].values.data(); }

 private:
  struct Layer {
    Buffer keys, values;
  };
  std::vector<Layer> layers_;
  std::int64_t row_, most_, length_ = 0;
};

}  // namespace aftune::model
