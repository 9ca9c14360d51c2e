#include "model/kv_cache.h"

#include <algorithm>
#include <cstring>

namespace aftune::model {
namespace {

constexpr std::int64_t kFewestPositions = 64;

// Stores `count` floats behind the first `used`, in twice the memory, up to `most`, where there is not
// enough.
void put(Buffer& buffer, std::int64_t used, std::int64_t count, std::int64_t least, std::int64_t most,
         const float* from) {
  if (buffer.size() < used + count) {
    Buffer larger(std::max(used + count, std::min(std::max(2 * buffer.size(), least), most)));
    if (used > 0) std::memcpy(larger.data(), buffer.data(), static_cast<std::size_t>(used) * sizeof(float));
    buffer = std::move(larger);
  }
  std::memcpy(buffer.data() + used, from, static_cast<std::size_t>(count) * sizeof(float));
}

}  // namespace

KvCache::KvCache(const Config& config, int layers, std::int64_t most)
    : layers_(static_cast<std::size_t>(layers)),
      row_(config.kv_heads * config.head_dim),
      most_(most > 0 ? most : config.max_position) {}

void KvCache::append(int layer, std::int64_t count, const float* keys, const float* values) {
  Layer& to = layers_[static_cast<std::size_t>(layer)];
  put(to.keys, length_ * row_, count * row_, kFewestPositions * row_, most_ * row_, keys);
  put(to.values, length_ * row_, count * row_, kFewestPositions * row_, most_ * row_, values);
}

}  // namespace aftune::model
