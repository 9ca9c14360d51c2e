#pragma once

// The products of profile native by cuBLAS: the functions of kernels/native.h. All pointers are to device
// memory; a call is queued on the stream and returns at once. Which panels a product is cut into decides bits
// and follows from its sizes alone.

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/cublas.h"
#include "kernels/cuda/stream.h"

namespace aftune::kernels::cuda {

/// A product [rows, cols] over the contracted indices [start, start + depth) of two f32 factors.
struct NativeProduct {
  std::int64_t rows = 0, cols = 0, depth = 0;
  struct Factor {
    const float* values = nullptr;
    std::int64_t stride = 0;  ///< of its rows
    bool by_columns = false;  ///< an index is a column: values[k * stride + i]; else values[i * stride + k]
  } left, right;
  float* c = nullptr;  ///< [rows, cols]
  bool add = false;
};

/// What multiply_native wants as its workspace: bf16 copies of a panel of each factor, of at most 128 MiB or
/// 128 indices, and a panel of the product of at most 128 MiB.
std::size_t native_workspace_bytes(const NativeProduct& product);

/// The workspace is device memory at a 256-byte boundary.
void multiply_native(Stream stream, Cublas& cublas, const NativeProduct& product, std::byte* workspace);

}  // namespace aftune::kernels::cuda
