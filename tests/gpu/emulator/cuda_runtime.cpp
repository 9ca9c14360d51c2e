// The runtime of the emulated device: everything is done in host memory, at once or when it is waited for.

#include "gpu/emulator/cuda_runtime.h"

#include <atomic>
#include <cstdlib>
#include <vector>

#include "gpu/emulator/streams.h"

namespace {

using aftune::emulator::queue;

thread_local cudaError_t last_error = cudaSuccess;
std::atomic<int> waits_left = -1;  // until the device fails; negative: it does not

cudaError_t answer(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

// At a boundary as wide as cudaMalloc's, and not a byte too long. What was never written is NaN.
cudaError_t allocate(void** memory, std::size_t size) {
  constexpr std::size_t kBoundary = 256;
  *memory = nullptr;
  if (size == 0) return cudaSuccess;
  if (posix_memalign(memory, kBoundary, size) != 0) return answer(cudaErrorMemoryAllocation);
  std::memset(*memory, 0xff, size);
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  return answer(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return answer(cudaErrorInvalidDevice);
  *properties = {"emulated device", std::size_t{1} << 30, 8, 0, 1};
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (device != 0) return answer(cudaErrorInvalidDevice);
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = 1024;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = 1;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 8;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      return cudaSuccess;
    case cudaDevAttrManagedMemory:
    case cudaDevAttrConcurrentManagedAccess:
      *value = 1;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = 99 << 10;
      return cudaSuccess;
  }
  return answer(cudaErrorInvalidValue);
}
cudaError_t cudaDeviceSynchronize() {
  aftune::emulator::finish_all();
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  if (aftune::emulator::launch_was_refused()) return cudaErrorNoKernelImageForDevice;
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNoKernelImageForDevice:
      return "no kernel image is available for execution on the device";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
  }
  return "unrecognized error code";
}
cudaError_t cudaMalloc(void** memory, std::size_t size) {
  return allocate(memory, size);
}
cudaError_t cudaMallocManaged(void** memory, std::size_t size, unsigned) {
  if (size == 0) return answer(cudaErrorInvalidValue);
  *memory = aftune::emulator::new_shared(size);
  return *memory == nullptr ? allocate(memory, size) : cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  if (!aftune::emulator::delete_shared(memory)) std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** memory, std::size_t size) {
  const cudaError_t error = allocate(memory, size);
  if (error == cudaSuccess && *memory != nullptr) aftune::emulator::note_pinned(*memory, size);
  return error;
}
cudaError_t cudaFreeHost(void* memory) {
  aftune::emulator::forget_pinned(memory);
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t size, cudaMemcpyKind) {
  if (size != 0) std::memmove(to, from, size);
  return cudaSuccess;
}
// As CUDA has it for memory that is not pinned: what is copied from there is read before the call returns,
// and what is copied there is there when it returns.
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t size, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (!aftune::emulator::puts_off(stream)) return cudaMemcpy(to, from, size, kind);
  if (kind == cudaMemcpyHostToDevice && !aftune::emulator::is_pinned(from)) {
    const auto* const bytes = static_cast<const std::byte*>(from);
    queue(stream, [to, kind, kept = std::vector<std::byte>(bytes, bytes + size)] {
      cudaMemcpy(to, kept.data(), kept.size(), kind);
    });
    return cudaSuccess;
  }
  queue(stream, [=] { cudaMemcpy(to, from, size, kind); });
  const bool is_deferred = kind == cudaMemcpyDeviceToHost ? aftune::emulator::is_pinned(to)
                           : kind == cudaMemcpyDefault
                               ? aftune::emulator::is_shared(to) && aftune::emulator::is_shared(from)
                               : true;
  if (!is_deferred) aftune::emulator::finish(stream);
  return cudaSuccess;
}
cudaError_t cudaMemset(void* memory, int value, std::size_t size) {
  if (size != 0) std::memset(memory, value, size);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t size, cudaStream_t stream) {
  queue(stream, [=] { cudaMemset(memory, value, size); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = aftune::emulator::new_stream();
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  aftune::emulator::delete_stream(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (waits_left == 0) {
    aftune::emulator::drop_all();
    return answer(cudaErrorLaunchFailure);
  }
  if (waits_left > 0) --waits_left;
  aftune::emulator::finish(stream);
  return cudaSuccess;
}

struct CUevent_st {
  CUstream_st* stream = nullptr;
  std::uint64_t place = 0;
};

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  *event = {stream, aftune::emulator::place_in(stream)};
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  queue(stream, [of = *event] { aftune::emulator::finish(of.stream, of.place); });
  return cudaSuccess;
}

void aftune::emulator::fail_after(int waits) {
  waits_left = waits;
  last_error = cudaSuccess;
}
