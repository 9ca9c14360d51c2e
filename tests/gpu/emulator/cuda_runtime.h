#pragma once

// CUDA's language and runtime as far as kernels/cuda and its callers use them, for a C++ compiler. Device
// memory is host memory; everything queued is done before the call returns, unless it is put off.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <tuple>
#include <type_traits>

#include "gpu/emulator/emulator.h"
#include "gpu/emulator/vector_types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

// Of the thread that runs.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

// --- Operations of blocks and warps.

namespace aftune::emulator {

using Where = std::source_location;
inline Site site(const Where& where) {
  return {where.file_name(), static_cast<int>(where.line())};
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared, CUstream_st* stream,
            const Arguments&... arguments) {
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> arguments;
  };
  if (!may_launch(grid, block, shared, reinterpret_cast<const void*>(kernel))) return;
  queue(stream, [=, call = Call{kernel, std::tuple<Parameters...>(arguments...)}] {
    run(
        grid, block, shared,
        [](const void* of) {
          const Call& own = *static_cast<const Call*>(of);
          std::apply(own.kernel, own.arguments);
        },
        &call);
  });
}

/// From now on what is queued is done when somebody waits for it, and no sooner; until then the memory that
/// host and device share cannot be written. False: at once again. Not thread-safe. A process that has
/// AFTUNE_EMULATED_PUT_OFF in its environment starts so.
void put_off(bool on);

/// The device fails for good once it has been waited for `waits` times more; negative: it is well again. Not
/// thread-safe.
void fail_after(int waits);
/// Kernels are now as if built for other GPUs than this one: no launch runs. Not thread-safe.
void have_code(bool has_it);
/// Whether a launch did not run since this was asked last.
bool launch_was_refused();

inline void multiply_bytes(int (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                           Where where = Where::current()) {
  multiply_bytes_of_warp(d, a, b, site(where));
}

}  // namespace aftune::emulator

// NOLINTBEGIN: CUDA's names
#define AFTUNE_EMULATED_SHARED(type, name) \
  static const char name##_tag = 0;        \
  type& name =                             \
      *static_cast<std::add_pointer_t<type>>(::aftune::emulator::shared_variable(&name##_tag, sizeof(type)))
#define AFTUNE_EMULATED_DYNAMIC_SHARED(type, name) \
  type* const name = static_cast<type*>(::aftune::emulator::dynamic_shared())

inline void __syncthreads(aftune::emulator::Where where = aftune::emulator::Where::current()) {
  aftune::emulator::block_barrier(aftune::emulator::site(where));
}
inline void __syncwarp(unsigned mask = 0xffffffffu,
                       aftune::emulator::Where where = aftune::emulator::Where::current()) {
  aftune::emulator::warp_barrier(mask, aftune::emulator::site(where));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes,
                  aftune::emulator::Where where = aftune::emulator::Where::current()) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t) && std::is_trivially_copyable_v<T>);
  std::uint64_t word = 0;
  std::memcpy(&word, &value, sizeof value);
  word = aftune::emulator::shuffle(mask, word, threadIdx.x % 32 ^ static_cast<unsigned>(lanes),
                                   aftune::emulator::site(where));
  std::memcpy(&value, &word, sizeof value);
  return value;
}
/// The dot product of four signed bytes each, added to `sum`.
inline int __dp4a(int a, int b, int sum) {
  for (int shift = 0; shift < 32; shift += 8)
    sum += static_cast<std::int8_t>(a >> shift) * static_cast<std::int8_t>(b >> shift);
  return sum;
}
inline unsigned atomicOr(unsigned* at, unsigned bits) {
  return __atomic_fetch_or(at, bits, __ATOMIC_RELAXED);
}

// --- The runtime.

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorLaunchFailure = 719,
};
enum cudaMemcpyKind {
  cudaMemcpyHostToHost,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaMemcpyDeviceToDevice,
  cudaMemcpyDefault,
};
enum cudaDeviceAttr {
  cudaDevAttrMaxThreadsPerBlock = 1,
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrManagedMemory = 83,
  cudaDevAttrConcurrentManagedAccess = 89,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

using cudaStream_t = CUstream_st*;
using cudaEvent_t = struct CUevent_st*;
struct cudaDeviceProp {
  char name[256];
  std::size_t totalGlobalMem;
  int major, minor, multiProcessorCount;
};

constexpr unsigned cudaStreamNonBlocking = 1, cudaMemAttachGlobal = 1, cudaEventDisableTiming = 2;

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t error);

cudaError_t cudaMalloc(void** memory, std::size_t size);
cudaError_t cudaMallocManaged(void** memory, std::size_t size, unsigned flags = cudaMemAttachGlobal);
template <class T>
cudaError_t cudaMalloc(T** memory, std::size_t size) {
  return cudaMalloc(reinterpret_cast<void**>(memory), size);
}
template <class T>
cudaError_t cudaMallocManaged(T** memory, std::size_t size, unsigned flags = cudaMemAttachGlobal) {
  return cudaMallocManaged(reinterpret_cast<void**>(memory), size, flags);
}
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocHost(void** memory, std::size_t size);
cudaError_t cudaFreeHost(void* memory);
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t size, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream = nullptr);
cudaError_t cudaMemset(void* memory, int value, std::size_t size);
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t size, cudaStream_t stream = nullptr);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr);

template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel* kernel, cudaFuncAttribute, int value) {
  return aftune::emulator::allow_shared(reinterpret_cast<const void*>(kernel),
                                        static_cast<std::size_t>(value))
             ? cudaSuccess
             : cudaErrorInvalidValue;
}
// NOLINTEND
