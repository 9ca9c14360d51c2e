#pragma once

// The few things that nvcc's language cannot say in plain C++. tests/gpu compiles the same kernels with a C++
// compiler and runs them on threads of its own; its cuda_runtime.h supplies the other half of each.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/stream.h"

#if defined(__CUDACC__)

// A variable that the threads of a block share. Its content is undefined when the block starts.
#define AFTUNE_SHARED(type, name) __shared__ type name
// Shared memory of the size that the launch gave, at a 16-byte boundary.
#define AFTUNE_DYNAMIC_SHARED(type, name)                              \
  extern __shared__ __align__(16) unsigned char aftune_shared_bytes[]; \
  type* const name = reinterpret_cast<type*>(aftune_shared_bytes)
#define AFTUNE_UNROLL _Pragma("unroll")
#define AFTUNE_UNROLL_2 _Pragma("unroll 2")
#define AFTUNE_UNROLL_4 _Pragma("unroll 4")
#define AFTUNE_UNROLL_8 _Pragma("unroll 8")

namespace aftune::kernels::cuda {

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared, Stream stream,
            const Arguments&... arguments) {
  kernel<<<grid, block, shared, stream>>>(arguments...);
}

/// d = a b + d for the warp's 16 x 32 matrix a of rows and 32 x 8 matrix b of columns of 8-bit integers,
/// exact in 32 bits: what each lane holds of them is in PTX ISA, "Matrix Fragments for mma.m16n8k32".
__device__ __forceinline__ void multiply_bytes(int (&d)[4], const std::uint32_t (&a)[4],
                                               const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace aftune::kernels::cuda

#else

#define AFTUNE_SHARED(type, name) AFTUNE_EMULATED_SHARED(type, name)
#define AFTUNE_DYNAMIC_SHARED(type, name) AFTUNE_EMULATED_DYNAMIC_SHARED(type, name)
#define AFTUNE_UNROLL
#define AFTUNE_UNROLL_2
#define AFTUNE_UNROLL_4
#define AFTUNE_UNROLL_8

namespace aftune::kernels::cuda {

using emulator::launch;
using emulator::multiply_bytes;

}  // namespace aftune::kernels::cuda

#endif
