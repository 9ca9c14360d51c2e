#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/folder.h"
#include "model/kv_cache.h"
#include "model/layer_block.h"

namespace aftune::generate {

/// The positions of one sequence that a Decoder has run, by what its layers keep of them.
class Sequence {
 public:
  std::int64_t length() const { return length_; }

 private:
  friend class Decoder;
  std::vector<model::KvCache> caches_;  // of the stages that have layers, in order
  std::int64_t length_ = 0;
};

/// All blocks of a model, run forward on sequences that grow. What a sequence gets depends on its tokens
/// alone: not on how they are cut into calls nor on what else is in a call. One call at a time.
class Decoder {
 public:
  /// options.recipe is not looked at: there are no moments. Its pool is used inside.
  explicit Decoder(model::EngineOptions options);
  /// Throws Error{kEvidence} if the checkpoint's tensors are not the model's.
  void load(const model::Checkpoint& checkpoint);

  const model::EngineOptions& options() const { return options_; }
  std::vector<std::unique_ptr<model::LayerBlock>>& blocks() { return blocks_; }

  /// With `most` positions in view, memory for more is not taken in advance; 0: as many as the model has.
  Sequence begin(std::int64_t most = 0) const;
  /// Bytes of keys and values that a sequence of so many positions holds.
  std::int64_t cache_bytes(std::int64_t positions) const;
  /// The next tokens of a sequence, at least one, each below the vocabulary. A sequence comes once in a call.
  struct Feed {
    Sequence* sequence = nullptr;
    std::span<const std::int32_t> tokens;
    bool wants_logits = true;
  };
  /// Is shown what passes the boundaries, in ascending order: row doc_starts[i] on is of feed i.
  using Observer = std::function<void(int boundary, const data::Rows& rows, const Matrix& activations)>;
  /// Raw logits [those that want them, vocab] after the last token of each. Throws Error{kUsage} if the
  /// sequence would be longer than config.max_position.
  Matrix run(std::span<const Feed> feeds, const Observer& observer = nullptr);

 private:
  model::LayerBlock& block_of(int stage) {
    return *blocks_[static_cast<std::size_t>(options_.grid.block_of_stage(stage))];
  }
  data::Rows rows_of(std::span<const Feed> feeds) const;

  model::EngineOptions options_;
  std::vector<std::unique_ptr<model::LayerBlock>> blocks_;
};

}  // namespace aftune::generate
