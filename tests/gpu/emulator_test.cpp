// What the emulator must catch, or the other tests would prove little.

#include "gpu/emulator/emulator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/cuda/device.cuh"

namespace aftune::emulator {
namespace {

using kernels::cuda::launch;
using kernels::cuda::multiply_bytes;
using Row = float[256];

/// The fault of a launch with this schedule, or "".
template <class... Parameters, class... Arguments>
std::string fault_of(const Schedule& schedule, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                     const Arguments&... arguments) {
  set_schedule(schedule);
  try {
    launch(kernel, grid, block, 0, nullptr, arguments...);
  } catch (const Fault& fault) {
    return fault.what();
  }
  return "";
}

const std::vector<Schedule> kSchedules = {
    {Order::kForward, 0}, {Order::kReverse, 0}, {Order::kRandom, 1}, {Order::kRandom, 2}};

// Sums of the block's values by halves.
__global__ void reduce(const float* x, float* sum) {
  AFTUNE_SHARED(Row, part);
  const unsigned i = threadIdx.x;
  part[i] = x[blockIdx.x * blockDim.x + i];
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (i < half) part[i] += part[i + half];
  }
  if (i == 0) sum[blockIdx.x] = part[0];
}

TEST(Emulator, RunsEveryThreadOfEveryBlock) {
  std::vector<float> x(3 * 256), sums(3);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  for (const Schedule& schedule : kSchedules) {
    EXPECT_EQ(fault_of(schedule, reduce, 3, 256, x.data(), sums.data()), "");
    for (std::size_t b = 0; b < 3; ++b)
      EXPECT_EQ(sums[b], 256.0f * (static_cast<float>(b) * 256.0f + 127.5f));
  }
}

__global__ void note_index(unsigned* out) {
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] += thread + 1000 * block;
}

TEST(Emulator, NumbersThreadsInThreeDimensions) {
  std::vector<unsigned> out(2 * 3 * 4 * 5 * 3 * 2);
  EXPECT_EQ(fault_of({}, note_index, dim3(2, 3, 4), dim3(5, 3, 2), out.data()), "");
  for (unsigned i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], i % 30 + 1000 * (i / 30));
}

__global__ void reverse_without_barrier(float* x) {
  AFTUNE_SHARED(Row, part);
  part[threadIdx.x] = x[threadIdx.x];
  x[threadIdx.x] = part[blockDim.x - 1 - threadIdx.x];
}

#if !defined(__SANITIZE_THREAD__)
TEST(Emulator, ShowsAMissingBarrierAsNan) {
  for (const Schedule& schedule : kSchedules) {
    std::vector<float> x(64, 1.0f);
    EXPECT_EQ(fault_of(schedule, reverse_without_barrier, 1, 64, x.data()), "");
    EXPECT_TRUE(std::any_of(x.begin(), x.end(), [](float value) { return std::isnan(value); }));
  }
}
#endif

#if defined(__SANITIZE_THREAD__)
__global__ void reuse_without_barrier(float* x) {
  AFTUNE_SHARED(Row, part);
  for (int round = 0; round < 2; ++round) {
    part[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = part[blockDim.x - 1 - threadIdx.x];
  }
}
__global__ void reverse_by_shuffle_alone(float* x) {
  AFTUNE_SHARED(Row, part);
  part[threadIdx.x] = x[threadIdx.x];
  __shfl_xor_sync(0xffffffffu, 1.0f, 1);
  x[threadIdx.x] = part[blockDim.x - 1 - threadIdx.x];
}
__global__ void all_blocks_to_one_place(float* x) {
  if (threadIdx.x == 0) *x = static_cast<float>(blockIdx.x);
}

TEST(EmulatorDeathTest, ShowsRacesToThreadSanitizer) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  std::vector<float> x(64, 1.0f);
  for (const Schedule& schedule : {kSchedules.front(), kSchedules.back()}) {
    const auto run = [&](void (*kernel)(float*), unsigned blocks, unsigned threads) {
      fault_of(schedule, kernel, blocks, threads, x.data());
      std::exit(0);  // to what the sanitizer makes of it
    };
    EXPECT_EXIT(run(reverse_without_barrier, 1, 64), ::testing::ExitedWithCode(66), "data race");
    EXPECT_EXIT(run(reuse_without_barrier, 1, 64), ::testing::ExitedWithCode(66), "data race");
    EXPECT_EXIT(run(reverse_by_shuffle_alone, 1, 32), ::testing::ExitedWithCode(66), "data race");
    EXPECT_EXIT(run(all_blocks_to_one_place, 2, 32), ::testing::ExitedWithCode(66), "data race");
  }
}
#endif

#if defined(__SANITIZE_ADDRESS__)
__global__ void past_shared(int i) {
  AFTUNE_SHARED(Row, part);
  float* volatile start = part;
  start[i] = 0.0f;
}
__global__ void past_device(float* x, int i) {
  x[i] = 0.0f;
}

TEST(EmulatorDeathTest, ShowsBoundsToAddressSanitizer) {
  EXPECT_DEATH(fault_of({}, past_shared, 1, 32, 256), "AddressSanitizer");
  EXPECT_DEATH(fault_of({}, past_shared, 1, 32, -1), "AddressSanitizer");
  float* x = nullptr;
  ASSERT_EQ(cudaMalloc(&x, 5 * sizeof(float)), cudaSuccess);
  EXPECT_DEATH(fault_of({}, past_device, 1, 1, x, 5), "AddressSanitizer");
  EXPECT_EQ(fault_of({}, past_device, 1, 1, x, 4), "");
  EXPECT_EQ(cudaFree(x), cudaSuccess);
}
#endif

__global__ void barrier_for_some() {
  if (threadIdx.x % 3 != 0) __syncthreads();
}
__global__ void two_barriers() {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void warp_without_one() {
  if (threadIdx.x != 7) __syncwarp();
}
__global__ void shuffle_at_two_places(float* x) {
  if (threadIdx.x < 16)
    *x = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
  else
    *x = __shfl_xor_sync(0xffffffffu, 1.0f, 2);
}
__global__ void outside_of_its_mask() {
  __syncwarp(0x7fffffffu);
}

TEST(Emulator, CatchesThreadsThatDoNotMeet) {
  float x;
  for (const Schedule& schedule : kSchedules) {
    EXPECT_NE(fault_of(schedule, barrier_for_some, 1, 64).find("42 of 64 are at the barrier"),
              std::string::npos);
    EXPECT_NE(fault_of(schedule, two_barriers, 1, 64).find("threads that must meet"), std::string::npos);
    EXPECT_NE(fault_of(schedule, warp_without_one, 1, 64).find("31 lanes of warp 0"), std::string::npos);
    EXPECT_NE(fault_of(schedule, shuffle_at_two_places, 1, 32, &x).find("threads that must meet"),
              std::string::npos);
    EXPECT_NE(fault_of(schedule, outside_of_its_mask, 1, 32).find("not in its own mask"), std::string::npos);
  }
}

using TooMuch = float[12500];
__global__ void declare_too_much() {
  AFTUNE_SHARED(TooMuch, memory);
  memory[0] = 0.0f;
}
__global__ void nothing() {}

TEST(Emulator, CatchesLaunchesThatNoGpuTakes) {
  EXPECT_NE(fault_of({}, declare_too_much, 1, 1).find("shared memory"), std::string::npos);
  EXPECT_NE(fault_of({}, nothing, 1, 1025), "");
  EXPECT_NE(fault_of({}, nothing, 0, 1), "");
  EXPECT_NE(fault_of({}, nothing, dim3(1, 65536), 1), "");
  EXPECT_THROW(launch(nothing, 1, 1, 49153, nullptr), Fault);
  EXPECT_EQ(cudaFuncSetAttribute(nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, 49153), cudaSuccess);
  EXPECT_NO_THROW(launch(nothing, 1, 1, 49153, nullptr));
  EXPECT_EQ(cudaFuncSetAttribute(nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, 1 << 20),
            cudaErrorInvalidValue);
}

// --- The product of bytes, whose fragments are gathered here as PTX ISA words them.

constexpr int kRows = 16, kCols = 8, kDepth = 32;
using Octet = std::int8_t;

__global__ void multiply(const Octet* a, const Octet* b, int* d) {
  const int group = static_cast<int>(threadIdx.x) / 4, in_group = static_cast<int>(threadIdx.x) % 4;
  std::uint32_t left[4] = {}, right[2] = {};
  int out[4];
  for (int i = 0; i < 16; ++i) {
    const int row = i < 4 || (i >= 8 && i < 12) ? group : group + 8;
    const int col = in_group * 4 + (i & 3) + (i < 8 ? 0 : 16);
    left[i / 4] |= std::uint32_t{static_cast<std::uint8_t>(a[row * kDepth + col])} << (8 * (i % 4));
  }
  for (int i = 0; i < 8; ++i) {
    const int row = in_group * 4 + (i & 3) + (i < 4 ? 0 : 16);
    right[i / 4] |= std::uint32_t{static_cast<std::uint8_t>(b[row * kCols + group])} << (8 * (i % 4));
  }
  const auto at = [=](int i) { return (i < 2 ? group : group + 8) * kCols + in_group * 2 + (i & 1); };
  for (int i = 0; i < 4; ++i) out[i] = d[at(i)];
  multiply_bytes(out, left, right);
  for (int i = 0; i < 4; ++i) d[at(i)] = out[i];
}

TEST(Emulator, MultipliesBytesAsTheTensorCoresDo) {
  std::vector<Octet> a(kRows * kDepth), b(kDepth * kCols);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<Octet>(i * 37 % 255 - 127);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<Octet>(i * 101 % 256 - 128);
  std::vector<int> d(kRows * kCols, 5), expected(kRows * kCols, 5);
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t c = 0; c < kCols; ++c)
      for (std::size_t k = 0; k < kDepth; ++k)
        expected[r * kCols + c] += a[r * kDepth + k] * b[k * kCols + c];
  for (const Schedule& schedule : kSchedules) {
    std::vector<int> out = d;
    EXPECT_EQ(fault_of(schedule, multiply, 1, 32, a.data(), b.data(), out.data()), "");
    EXPECT_EQ(out, expected);
  }
}

}  // namespace
}  // namespace aftune::emulator
