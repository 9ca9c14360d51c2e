#pragma once

// Kernels in which every warp takes one piece of the work and needs no other.

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/warp_lanes.cuh"

namespace aftune::kernels::cuda {
namespace {

constexpr int kWarps = 4;  // in a block

/// body(i) for i in [0, n), each by one warp.
template <class Body>
__global__ void warps(std::int64_t n, Body body) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.x / kLanes;
  if (i < n) body(i);
}

template <class Body>
void launch_warps(Stream stream, std::int64_t n, const Body& body) {
  if (n == 0) return;
  const auto blocks = static_cast<unsigned>((n + kWarps - 1) / kWarps);
  launch(warps<Body>, blocks, static_cast<unsigned>(kWarps * kLanes), 0, stream, n, body);
}

/// body(first, count) for ranges of 1024 elements of [0, n), each by one warp.
template <class Body>
void launch_ranges(Stream stream, std::int64_t n, const Body& body) {
  launch_warps(stream, (n + kSumBlock - 1) / kSumBlock, [=] __device__(std::int64_t range) {
    const std::int64_t first = range * kSumBlock;
    body(first, n - first < kSumBlock ? n - first : kSumBlock);
  });
}

/// body(first, count) for 32 columns of [0, h) each, by one warp.
template <class Body>
void launch_columns(Stream stream, std::int64_t h, const Body& body) {
  launch_warps(stream, (h + kLanes - 1) / kLanes, [=] __device__(std::int64_t tile) {
    const std::int64_t first = tile * kLanes;
    body(first, h - first < kLanes ? h - first : kLanes);
  });
}

}  // namespace
}  // namespace aftune::kernels::cuda
