#pragma once

// The device's work in order, and what it keeps of its own memory. Private to cuda_device.cpp.

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "kernels/cuda/i14.h"
#include "kernels/device.h"

namespace aftune::kernels::cuda {

inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail(Fault::kDevice, "cuda: ", what, ": ", cudaGetErrorString(error));
}

/// A stream, and pinned memory by which what the host holds goes to the device.
class DeviceQueue {
 public:
  DeviceQueue() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream"); }
  DeviceQueue(const DeviceQueue&) = delete;
  DeviceQueue& operator=(const DeviceQueue&) = delete;
  ~DeviceQueue() {
    cudaStreamSynchronize(stream_);
    cudaFreeHost(staging_);
    cudaStreamDestroy(stream_);
  }

  Stream stream() const { return stream_; }
  /// Queues the copy; `from` may change once this returns.
  void upload(void* to, const void* from, std::size_t bytes) {
    if (bytes == 0) return;
    if (used_ + bytes > size_) make_room(bytes);
    std::memcpy(staging_ + used_, from, bytes);
    check(cudaMemcpyAsync(to, staging_ + used_, bytes, cudaMemcpyHostToDevice, stream_), "copy");
    used_ += bytes;
  }
  /// Errors of a device are found when one waits for it.
  void wait() {
    check(cudaStreamSynchronize(stream_), "run");
    used_ = 0;
  }

 private:
  static constexpr std::size_t kLeast = std::size_t{1} << 20;

  void make_room(std::size_t bytes) {
    wait();
    if (bytes <= size_) return;
    check(cudaFreeHost(std::exchange(staging_, nullptr)), "free");
    size_ = 0;
    const std::size_t size = std::max(kLeast, 2 * bytes);
    check(cudaMallocHost(reinterpret_cast<void**>(&staging_), size), "memory");
    size_ = size;
  }

  Stream stream_ = nullptr;
  std::byte* staging_ = nullptr;
  std::size_t size_ = 0, used_ = 0;
};

/// A place in a queue.
class QueuePoint : public Accelerator::Point {
 public:
  explicit QueuePoint(Stream stream) {
    check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "event");
    check(cudaEventRecord(event_, stream), "event");
  }
  QueuePoint(const QueuePoint&) = delete;
  QueuePoint& operator=(const QueuePoint&) = delete;
  ~QueuePoint() override { cudaEventDestroy(event_); }

  cudaEvent_t event() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

/// The memory that was taken, of all ways to a device. Thread-safe.
class TakenBlocks {
 public:
  void add(const void* block, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    blocks_[static_cast<const std::byte*>(block)] = bytes;
  }
  void remove(const void* block) {
    const std::lock_guard lock(mutex_);
    blocks_.erase(static_cast<const std::byte*>(block));
  }
  bool hold(const void* at) const {
    const auto* const byte = static_cast<const std::byte*>(at);
    const std::lock_guard lock(mutex_);
    const auto after = blocks_.upper_bound(byte);
    if (after == blocks_.begin()) return false;
    const auto block = std::prev(after);
    return byte < block->first + block->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<const std::byte*, std::size_t> blocks_;
};

/// Device memory that grows and is used again. What it held is lost when it grows.
class Room {
 public:
  Room() = default;
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  ~Room() { cudaFree(data_); }

  std::byte* at_least(DeviceQueue& queue, std::size_t bytes) {
    if (bytes <= size_) return data_;
    if (data_ != nullptr) queue.wait();  // something there may still use it
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
  /// Lays out the memory for `extent` indices; the groups are on the device when the queue has come there.
  void plan(DeviceQueue& queue, std::int64_t extent, std::int64_t chains, const std::int64_t* chain_starts,
            int group) {
    plan_ = plan_i14(chains, chain_starts, group);
    const std::size_t groups = plan_.groups.size() * sizeof(I14Group);
    const std::size_t plane = aligned(i14_plane_bytes(plan_, extent));
    const std::size_t scales = i14_scale_count(plan_, extent) * sizeof(float);
    std::byte* at = room_.at_least(queue, aligned(groups) + 2 * plane + scales);
    queue.upload(at, plan_.groups.data(), groups);
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
