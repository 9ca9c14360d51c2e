#pragma once

// The products of profile i14 by cuBLAS: three products of bytes a group and tile. At large groups they run
// at what its tensor cores give; at small ones the sums that they write take longer than the products. Same
// bits as multiply_i14 (i14.h).

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/cublas.h"
#include "kernels/cuda/i14.h"

namespace aftune::kernels::cuda {

/// What multiply_i14_by_cublas wants as its workspace, whatever the depth: at most 300 MB.
std::size_t i14_workspace_bytes(int group, std::int64_t rows, std::int64_t cols);

/// As multiply_i14, of whose depth `plan` is; the factors were quantised by it. The workspace is device
/// memory at a 256-byte boundary.
void multiply_i14_by_cublas(Stream stream, Cublas& cublas, const I14Plan& plan, const I14Planes& left,
                            const I14Planes& right, float* c, bool add, std::byte* workspace);

}  // namespace aftune::kernels::cuda
