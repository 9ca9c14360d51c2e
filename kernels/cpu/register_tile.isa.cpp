#include "kernels/cpu/register_tile.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

template <int kRows>
struct Accumulators {
  Vec at[kRows][kTileVecs];
};

template <int kRows>
AFTUNE_OP void read(Accumulators<kRows>& acc, const float* from, std::int64_t stride) {
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kTileVecs; ++v) acc.at[r][v] = load(from + r * stride + v * kVecWidth);
}

template <int kRows>
AFTUNE_OP void write(const Accumulators<kRows>& acc, float* to, std::int64_t stride) {
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kTileVecs; ++v) store(to + r * stride + v * kVecWidth, acc.at[r][v]);
}

template <int kRows>
AFTUNE_OP void clear(Accumulators<kRows>& acc) {
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kTileVecs; ++v) acc.at[r][v] = zero();
}

template <int kRows>
AFTUNE_OP void run_chains(Accumulators<kRows>& acc, std::int64_t length, const float* left,
                          std::int64_t left_step, const float* right) {
  for (std::int64_t k = 0; k < length; ++k, left += left_step, right += kTileCols) {
    Vec b[kTileVecs];
#pragma GCC unroll 4
    for (int v = 0; v < kTileVecs; ++v) b[v] = load(right + v * kVecWidth);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vec a = broadcast(left[r]);
#pragma GCC unroll 4
      for (int v = 0; v < kTileVecs; ++v) acc.at[r][v] = multiply_add(a, b[v], acc.at[r][v]);
    }
  }
}

template <int kRows>
AFTUNE_OP void complete(const Accumulators<kRows>& acc, bool adds, float* c, std::int64_t stride) {
  const Vec plus_zero = zero();
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kTileVecs; ++v) {
      float* to = c + r * stride + v * kVecWidth;
      const Vec product = add(acc.at[r][v], plus_zero);
      store(to, adds ? add(load(to), product) : product);
    }
}

template <int kRows>
void multiply_rows(const Tile& tile) {
  for (int r = 0; r < kRows; ++r) {
    __builtin_prefetch(tile.c + r * tile.c_stride, 1);
    __builtin_prefetch(tile.c + r * tile.c_stride + kTileCols - 1, 1);
  }
  const float* left = tile.left;
  const float* right = tile.right;
  for (std::int64_t i = 0; i < tile.stretch_count; ++i) {
    const Stretch& stretch = tile.stretches[i];
    Accumulators<kRows> acc;
    if (stretch.begins)
      clear(acc);
    else
      read(acc, tile.partial, tile.partial_stride);
    run_chains(acc, stretch.length, left, tile.left_step, right);
    if (stretch.ends)
      complete(acc, stretch.adds, tile.c, tile.c_stride);
    else
      write(acc, tile.partial, tile.partial_stride);
    left += stretch.length * tile.left_step;
    right += stretch.length * kTileCols;
  }
}

template <int kRows = kTileRows>
AFTUNE_OP void multiply_full_width(const Tile& tile) {
  if (tile.rows == kRows)
    multiply_rows<kRows>(tile);
  else if constexpr (kRows > 1)
    multiply_full_width<kRows - 1>(tile);
}

void copy_rows(int rows, int cols, const float* from, std::int64_t from_stride, float* to,
               std::int64_t to_stride) {
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < cols; ++j) to[r * to_stride + j] = from[r * from_stride + j];
}

// Narrow tiles, and those in which many short chains end, work on a dense copy: whole vectors can then be
// stored, and the rows of a wide C, which often fall into the same few cache sets, do not evict each other.
void multiply_in_copy(const Tile& tile) {
  alignas(64) float c[kTileRows * kTileCols] = {};
  alignas(64) float partial[kTileRows * kTileCols] = {};
  copy_rows(tile.rows, tile.cols, tile.c, tile.c_stride, c, kTileCols);
  const bool separate = tile.partial != tile.c;
  if (separate) copy_rows(tile.rows, tile.cols, tile.partial, tile.partial_stride, partial, kTileCols);
  Tile copy = tile;
  copy.c = c;
  copy.partial = separate ? partial : c;
  copy.c_stride = copy.partial_stride = kTileCols;
  multiply_full_width(copy);
  copy_rows(tile.rows, tile.cols, c, kTileCols, tile.c, tile.c_stride);
  if (separate) copy_rows(tile.rows, tile.cols, partial, kTileCols, tile.partial, tile.partial_stride);
}

}  // namespace

void multiply(const Tile& tile) {
  constexpr std::int64_t kManyChains = 4;
  if (tile.cols == kTileCols && tile.stretch_count < kManyChains)
    multiply_full_width(tile);
  else
    multiply_in_copy(tile);
}

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
