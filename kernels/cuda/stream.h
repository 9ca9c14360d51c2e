#pragma once

struct CUstream_st;

namespace aftune::kernels::cuda {

/// A cudaStream_t, without CUDA's headers.
using Stream = CUstream_st*;

}  // namespace aftune::kernels::cuda
