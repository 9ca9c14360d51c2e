#include "kernels/cpu/i14.h"
#include "kernels/cpu/int_vector.h"
#include "kernels/cpu/register_tile.h"
#include "kernels/i14_ops.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

/// A tile of C, or of chains that wait, dense: whole vectors can be stored, and the rows of a wide C, which
/// often fall into the same few cache sets, do not evict each other.
struct DenseTile {
  alignas(64) float at[kTileRows * kTileCols];
};

void copy(int rows, int cols, const float* from, std::int64_t from_stride, float* to,
          std::int64_t to_stride) {
  if (cols == kTileCols) {
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < kTileVecs; ++v)
        store(to + r * to_stride + v * kVecWidth, load(from + r * from_stride + v * kVecWidth));
  } else {
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < cols; ++j) to[r * to_stride + j] = from[r * from_stride + j];
  }
}

struct TileProduct {
  const std::uint32_t* left = nullptr;
  const std::uint32_t* right = nullptr;
  const DepthGroup* groups = nullptr;
  std::int64_t group_count = 0;
  bool adds = false;
  float* c = nullptr;        ///< of a DenseTile
  float* partial = nullptr;  ///< of another
};

template <int kRows>
struct Dots {
  IntVec at[kRows][kTileVecs];
};

template <int kRows>
AFTUNE_OP void run_dots(Dots<kRows>& dots, std::int64_t pairs, const std::uint32_t* left,
                        const std::uint32_t* right) {
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kTileVecs; ++v) dots.at[r][v] = int_zero();
  for (std::int64_t p = 0; p < pairs; ++p, left += kTileRows, right += kTileCols) {
    IntVec b[kTileVecs];
#pragma GCC unroll 4
    for (int v = 0; v < kTileVecs; ++v) b[v] = load_words(right + v * kVecWidth);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const IntVec a = broadcast_word(left[r]);
#pragma GCC unroll 4
      for (int v = 0; v < kTileVecs; ++v) dots.at[r][v] = dot(dots.at[r][v], a, b[v]);
    }
  }
}

AFTUNE_OP Vec load_scales(const std::uint32_t* words) {
  Vec scales;
  __builtin_memcpy(&scales, words, sizeof scales);
  return scales;
}

/// The chains of the tile take one step each.
template <bool kBegin, int kRows>
AFTUNE_OP void step_chains(const Dots<kRows>& dots, const std::uint32_t* left_scales,
                           const std::uint32_t* right_scales, float* chains) {
  Vec right[kTileVecs];
#pragma GCC unroll 4
  for (int v = 0; v < kTileVecs; ++v) right[v] = load_scales(right_scales + v * kVecWidth);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const Vec left = broadcast(float32(left_scales[r]));
#pragma GCC unroll 4
    for (int v = 0; v < kTileVecs; ++v) {
      float* const acc = chains + r * kTileCols + v * kVecWidth;
      const Vec before = kBegin ? zero() : load(acc);
      store(acc, multiply_add(to_float(dots.at[r][v]), multiply(left, right[v]), before));
    }
  }
}

void complete_chains(int rows, const TileProduct& tile) {
  for (int at = 0; at < rows * kTileCols; at += kVecWidth) {
    const Vec product = add(load(tile.partial + at), zero());
    store(tile.c + at, tile.adds ? add(load(tile.c + at), product) : product);
  }
}

template <int kRows>
void multiply_rows(const TileProduct& tile) {
  const std::uint32_t* left = tile.left;
  const std::uint32_t* right = tile.right;
  for (std::int64_t g = 0; g < tile.group_count; ++g) {
    const DepthGroup& group = tile.groups[g];
    const std::int64_t pairs = group.pairs();
    Dots<kRows> dots;
    run_dots(dots, pairs, left, right);
    if (group.begins)
      step_chains<true>(dots, left + pairs * kTileRows, right + pairs * kTileCols, tile.partial);
    else
      step_chains<false>(dots, left + pairs * kTileRows, right + pairs * kTileCols, tile.partial);
    if (group.ends) complete_chains(kRows, tile);
    left += group.words() * kTileRows;
    right += group.words() * kTileCols;
  }
}

template <int kRows = kTileRows>
AFTUNE_OP void multiply_tile(int rows, const TileProduct& tile) {
  if (rows == kRows)
    multiply_rows<kRows>(tile);
  else if constexpr (kRows > 1)
    multiply_tile<kRows - 1>(rows, tile);
}

}  // namespace

// A panel of the left factor stays in the first-level cache while the panels of the right one, which fill
// about half of the second level, pass by.
void multiply_i14_panels(const I14PanelProduct& product) {
  const bool enters = product.group_count > 0 && !product.groups[0].begins;
  const bool leaves = product.group_count > 0 && !product.groups[product.group_count - 1].ends;
  bool completes = false;
  for (std::int64_t g = 0; g < product.group_count; ++g) completes = completes || product.groups[g].ends;
  DenseTile c = {}, partial = {};
  TileProduct tile;
  tile.groups = product.groups;
  tile.group_count = product.group_count;
  tile.adds = product.adds;
  tile.c = c.at;
  tile.partial = partial.at;
  for (std::int64_t i = 0; i < product.rows; i += kTileRows) {
    const int rows = static_cast<int>(product.rows - i < kTileRows ? product.rows - i : kTileRows);
    tile.left = product.left + i * product.words;
    for (std::int64_t j = 0; j < product.cols; j += kTileCols) {
      const int cols = static_cast<int>(product.cols - j < kTileCols ? product.cols - j : kTileCols);
      tile.right = product.right + j * product.words;
      float* const to = product.c + i * product.c_stride + j;
      float* const waiting = product.partial + i * product.partial_stride + j;
      if (enters) copy(rows, cols, waiting, product.partial_stride, partial.at, kTileCols);
      if (completes && product.adds) copy(rows, cols, to, product.c_stride, c.at, kTileCols);
      multiply_tile(rows, tile);
      if (completes) copy(rows, cols, c.at, kTileCols, to, product.c_stride);
      if (leaves) copy(rows, cols, partial.at, kTileCols, waiting, product.partial_stride);
    }
  }
}

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
