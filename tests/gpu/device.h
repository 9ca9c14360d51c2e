#pragma once

// What the tests of the CUDA kernels share. They run on the emulator under several schedules or, compiled by
// nvcc and where there is a GPU, on that.

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

/// A copy of a vector in device memory.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(const std::vector<T>& values) : size_(values.size()) {
    allocate();
    if (size_ != 0) {
      EXPECT_EQ(cudaMemcpy(data_, values.data(), bytes(), cudaMemcpyHostToDevice), cudaSuccess);
    }
  }
  /// What is never written there shows: its bytes are 0xff.
  explicit OnDevice(std::int64_t size) : size_(static_cast<std::size_t>(size)) {
    allocate();
    if (size_ != 0) {
      EXPECT_EQ(cudaMemset(data_, 0xff, bytes()), cudaSuccess);
    }
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { EXPECT_EQ(cudaFree(data_), cudaSuccess); }

  T* data() const { return data_; }
  std::vector<T> get() const {
    std::vector<T> values(size_);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    if (size_ != 0) {
      EXPECT_EQ(cudaMemcpy(values.data(), data_, bytes(), cudaMemcpyDeviceToHost), cudaSuccess);
    }
    return values;
  }

 private:
  std::size_t bytes() const { return size_ * sizeof(T); }
  void allocate() {
    if (size_ != 0) {
      EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&data_), bytes()), cudaSuccess);
    }
  }

  T* data_ = nullptr;
  std::size_t size_;
};

using FloatsOnDevice = OnDevice<float>;

/// Test suites of this class run once per schedule.
#if defined(AFTUNE_ON_GPU)
class OnSchedules : public ::testing::TestWithParam<int> {};
#define AFTUNE_FOR_SCHEDULES(suite) INSTANTIATE_TEST_SUITE_P(Gpu, suite, ::testing::Values(0))
#else
class OnSchedules : public ::testing::TestWithParam<emulator::Schedule> {
 protected:
  void SetUp() override { emulator::set_schedule(GetParam()); }
};
inline std::string schedule_name(const ::testing::TestParamInfo<emulator::Schedule>& info) {
  const emulator::Order order = info.param.order;
  return order == emulator::Order::kForward   ? "Forward"
         : order == emulator::Order::kReverse ? "Reverse"
                                              : "Random";
}
#define AFTUNE_FOR_SCHEDULES(suite)                                                            \
  INSTANTIATE_TEST_SUITE_P(Emulated, suite,                                                    \
                           ::testing::Values(emulator::Schedule{emulator::Order::kForward, 0}, \
                                             emulator::Schedule{emulator::Order::kReverse, 0}, \
                                             emulator::Schedule{emulator::Order::kRandom, 7}), \
                           schedule_name)
#endif

/// `all`, or what of it the slow builds have the time for.
template <class T>
std::vector<T> unless_sanitized(const std::vector<T>& all, const std::vector<T>& few) {
  return kSanitized ? few : all;
}

inline ThreadPool& one_thread() {
  static ThreadPool pool(1);
  return pool;
}

}  // namespace aftune::kernels
