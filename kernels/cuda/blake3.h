#pragma once

// BLAKE3 of what lies in device memory, as far as it is worth a device's while: the host joins the values
// (hash/blake3_tree.h).

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/stream.h"

namespace aftune::kernels::cuda {

inline constexpr std::size_t kBlake3ValueBytes = 32;

/// Chaining values of `pieces` pieces of 128 chunks, the first of which is number `counter`, none of them the
/// end of the hash. Queued on the stream; returns at once.
void blake3_values(Stream stream, const void* bytes, std::int64_t pieces, std::uint64_t counter,
                   void* values);

}  // namespace aftune::kernels::cuda
