#pragma once

#include <cstdint>

namespace aftune::kernels {

/// What a thread's scratch memory is for; uses that are alive at the same time differ.
enum class Scratch { kLeft, kRight, kPartial, kAttention };
inline constexpr int kScratches = 4;

/// At least `floats` floats of this thread, 64-byte aligned, contents unspecified; valid until the thread's
/// next call for the same use. The memory is kept for the life of the thread, so that products do not return
/// pages to the system only to fault them in again.
float* scratch(Scratch use, std::int64_t floats);

}  // namespace aftune::kernels
