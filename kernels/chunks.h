#pragma once

#include <algorithm>
#include <cstdint>

#include "base/parallel.h"

namespace aftune::kernels {

/// body(first, last) over [0, n) in chunks of `grain`, shared among the threads. No bit may depend on the
/// chunks.
template <class Body>
void for_chunks(ThreadPool& pool, std::int64_t n, std::int64_t grain, const Body& body) {
  pool.run((n + grain - 1) / grain,
           [&](std::int64_t chunk) { body(chunk * grain, std::min(n, (chunk + 1) * grain)); });
}

/// Rows of `width` elements in one chunk, so that a chunk is worth a thread's while.
inline std::int64_t rows_per_chunk(std::int64_t width) {
  constexpr std::int64_t kElements = 1 << 14;
  return std::max<std::int64_t>(1, kElements / std::max<std::int64_t>(1, width));
}

}  // namespace aftune::kernels
