// The runtime of the emulated device: everything is done at once, in host memory.

#include "gpu/emulator/cuda_runtime.h"

#include <cstdlib>

struct CUstream_st {};

namespace {

thread_local cudaError_t last_error = cudaSuccess;
int waits_left = -1;  // until the device fails; negative: it does not

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
  return size == 0 ? answer(cudaErrorInvalidValue) : allocate(memory, size);
}
cudaError_t cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t size, cudaMemcpyKind) {
  if (size != 0) std::memmove(to, from, size);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t size, cudaMemcpyKind kind, cudaStream_t) {
  return cudaMemcpy(to, from, size, kind);
}
cudaError_t cudaMemset(void* memory, int value, std::size_t size) {
  if (size != 0) std::memset(memory, value, size);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t size, cudaStream_t) {
  return cudaMemset(memory, value, size);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  if (waits_left < 0) return cudaSuccess;
  return answer(waits_left-- > 0 ? cudaSuccess : (waits_left = 0, cudaErrorLaunchFailure));
}

void aftune::emulator::fail_after(int waits) {
  waits_left = waits;
  last_error = cudaSuccess;
}
