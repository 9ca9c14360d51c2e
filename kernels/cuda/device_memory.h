#pragma once

// What the device keeps of its own memory. Private to cuda_device.cpp.

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <utility>

#include "base/error.h"
#include "kernels/cuda/i14.h"
#include "kernels/device.h"

namespace aftune::kernels::cuda {

inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail(Fault::kDevice, "cuda: ", what, ": ", cudaGetErrorString(error));
}

/// Device memory that grows and is used again. What it held is lost when it grows.
class Room {
 public:
  Room() = default;
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  ~Room() { cudaFree(data_); }

  std::byte* at_least(std::size_t bytes) {
    if (bytes <= size_) return data_;
    check(cudaFree(std::exchange(data_, nullptr)), "free");
    size_ = 0;
    check(cudaMalloc(reinterpret_cast<void**>(&data_), bytes), "memory");
    size_ = bytes;
    return data_;
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

inline std::size_t aligned(std::size_t bytes) {
  constexpr std::size_t kAlignment = 256;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// A factor's planes, and the groups that they were cut by.
class Factor : public DeviceFactor {
 public:
  /// Lays out the memory for `extent` indices; the groups are on the device when the stream has come there.
  void plan(Stream stream, std::int64_t extent, std::int64_t chains, const std::int64_t* chain_starts,
            int group) {
    plan_ = plan_i14(chains, chain_starts, group);
    const std::size_t groups = plan_.groups.size() * sizeof(I14Group);
    const std::size_t plane = aligned(i14_plane_bytes(plan_, extent));
    const std::size_t scales = i14_scale_count(plan_, extent) * sizeof(float);
    std::byte* at = room_.at_least(aligned(groups) + 2 * plane + scales);
    if (groups != 0)
      check(cudaMemcpyAsync(at, plan_.groups.data(), groups, cudaMemcpyHostToDevice, stream), "copy");
    depth_ = {plan_.group, plan_.chunks, static_cast<std::int64_t>(plan_.groups.size()),
              reinterpret_cast<const I14Group*>(at)};
    at += aligned(groups);
    planes_ = {extent, reinterpret_cast<std::int8_t*>(at), reinterpret_cast<std::int8_t*>(at + plane),
               reinterpret_cast<float*>(at + 2 * plane)};
  }
  const I14Plan& plan() const { return plan_; }
  const I14Depth& depth() const { return depth_; }
  const I14Planes& planes() const { return planes_; }

 private:
  Room room_;
  I14Plan plan_;
  I14Depth depth_;
  I14Planes planes_;
};

inline Factor& made(std::unique_ptr<DeviceFactor>& factor) {
  if (!factor) factor = std::make_unique<Factor>();
  return static_cast<Factor&>(*factor);
}

}  // namespace aftune::kernels::cuda
