#include "model/kv_cache.h"

#include <algorithm>

namespace aftune::model {
namespace {

constexpr std::int64_t kFewestPositions = 64;

// Stores `count` floats behind the first `used`, in twice the memory, up to `most`, where there is not
// enough.
void put(ThreadPool& pool, Buffer& buffer, std::int64_t used, std::int64_t count, std::int64_t least,
         std::int64_t most, const float* from) {
  if (buffer.size() < used + count) {
    Buffer larger(std::max(used + count, std::min(std::max(2 * buffer.size(), least), most)));
    copy(pool, used, buffer.data(), larger.data());
    buffer = std::move(larger);
  }
  copy(pool, count, from, buffer.data() + used);
}

}  // namespace

KvCache::KvCache(const Config& config, int layers, std::int64_t most)
    : layers_(static_cast<std::size_t>(layers)),
      row_(config.kv_heads * config.head_dim),
      most_(most > 0 ? most : config.max_position) {}

void KvCache::append(ThreadPool& pool, int layer, std::int64_t count, const float* keys,
                     const float* values) {
  Layer& to = layers_[static_cast<std::size_t>(layer)];
  put(pool, to.keys, length_ * row_, count * row_, kFewestPositions * row_, most_ * row_, keys);
  put(pool, to.values, length_ * row_, count * row_, kFewestPositions * row_, most_ * row_, values);
}

}  // namespace aftune::model
