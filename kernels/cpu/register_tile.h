#pragma once

// The register tile: a small block of C whose chains run in vector registers. Everything that multiplies
// matrices is made of it. Included by *.isa.cpp files only.

#include <cstdint>

#include "kernels/cpu/stretch.h"
#include "kernels/cpu/vector.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

// Accumulators, two vectors of B and a broadcast of A fill the register file: 32, 16, or for scalar code few.
#if defined(__AVX512F__)
inline constexpr int kTileRows = 14, kTileVecs = 2;
#elif defined(__AVX2__)
inline constexpr int kTileRows = 6, kTileVecs = 2;
#else
inline constexpr int kTileRows = 4, kTileVecs = 4;
#endif
inline constexpr int kTileCols = kTileVecs * kVecWidth;

/// rows <= kTileRows and cols <= kTileCols of C. A stretch that does not begin a chain takes its accumulators
/// from `partial`, one that does not end a chain leaves them there; `partial` may be c itself.
struct Tile {
  int rows = 0, cols = 0;
  const float* left = nullptr;  ///< element (r, k) at left[k * left_step + r]
  std::int64_t left_step = 0;
  const float* right =
      nullptr;  ///< element (k, j) at right[k * kTileCols + j], padded with zeros to kTileCols
  const Stretch* stretches = nullptr;
  std::int64_t stretch_count = 0;
  float* c = nullptr;
  std::int64_t c_stride = 0;
  float* partial = nullptr;
  std::int64_t partial_stride = 0;
};

void multiply(const Tile& tile);

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
