#include <algorithm>

#include "kernels/cuda/i14.h"

namespace aftune::kernels::cuda {
namespace {

constexpr std::int64_t kChunk = 32;

}  // namespace

I14Plan plan_i14(std::int64_t chains, const std::int64_t* chain_starts, int group) {
  I14Plan plan;
  plan.group = group;
  for (std::int64_t chain = 0; chain < chains; ++chain) {
    const std::int64_t end = chain_starts[chain + 1];
    std::int64_t start = chain_starts[chain];
    do {
      const std::int64_t length = std::min<std::int64_t>(group, end - start);
      const bool ends = start + length == end;
      plan.groups.push_back({start, plan.chunks, static_cast<std::int32_t>(length), ends ? 1 : 0});
      plan.chunks += (length + kChunk - 1) / kChunk;
      start += length;
    } while (start < end);
  }
  return plan;
}

std::size_t i14_plane_bytes(const I14Plan& plan, std::int64_t extent) {
  return static_cast<std::size_t>(plan.chunks * kChunk * extent);
}

std::size_t i14_scale_count(const I14Plan& plan, std::int64_t extent) {
  return plan.groups.size() * static_cast<std::size_t>(extent);
}

}  // namespace aftune::kernels::cuda
