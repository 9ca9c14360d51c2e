#include "trace/zstd_filter.h"

#include <stdlib.h>
#include <zstd.h>

namespace {

constexpr unsigned kReverse = 0x0100;  // H5Z_FLAG_REVERSE: decode
constexpr unsigned long long kMaxPlain = 64ull << 20;
constexpr int kDefaultLevel = 3;

// HDF5 owns *buffer and frees it with free().
size_t replace(void** buffer, size_t* buffer_size, void* with, size_t capacity, size_t used) {
  if (with == nullptr || ZSTD_isError(used) != 0) {
    free(with);
    return 0;
  }
  free(*buffer);
  *buffer = with;
  *buffer_size = capacity;
  return used;
}

size_t decode(size_t bytes, size_t* buffer_size, void** buffer) {
  const unsigned long long plain = ZSTD_getFrameContentSize(*buffer, bytes);
  // The two error values of zstd are above any limit.
  if (plain > kMaxPlain || plain == 0) return 0;
  const size_t size = static_cast<size_t>(plain);
  void* out = malloc(size);
  const size_t used = out == nullptr ? 0 : ZSTD_decompress(out, size, *buffer, bytes);
  return replace(buffer, buffer_size, out, size, used);
}

size_t encode(int level, size_t bytes, size_t* buffer_size, void** buffer) {
  const size_t size = ZSTD_compressBound(bytes);
  void* out = malloc(size);
  const size_t used = out == nullptr ? 0 : ZSTD_compress(out, size, *buffer, bytes, level);
  return replace(buffer, buffer_size, out, size, used);
}

int level_of(size_t parameter_count, const unsigned parameters[]) {
  if (parameter_count == 0) return kDefaultLevel;
  const int level = static_cast<int>(parameters[0]);
  if (level < ZSTD_minCLevel()) return ZSTD_minCLevel();
  return level > ZSTD_maxCLevel() ? ZSTD_maxCLevel() : level;
}

}  // namespace

size_t aftune_zstd_filter(unsigned flags, size_t parameter_count, const unsigned parameters[], size_t bytes,
                          size_t* buffer_size, void** buffer) {
  if ((flags & kReverse) != 0) return decode(bytes, buffer_size, buffer);
  return encode(level_of(parameter_count, parameters), bytes, buffer_size, buffer);
}
