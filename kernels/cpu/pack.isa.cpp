#include "kernels/cpu/pack.h"

#include "kernels/cpu/register_tile.h"
#include "kernels/cpu/transpose.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

Operand at(const Operand& from, std::int64_t i, std::int64_t k) {
  const std::int64_t offset = from.depth_outer ? k * from.stride + i : i * from.stride + k;
  return {from.data + offset, from.stride, from.depth_outer};
}

// Element by element: for the edges, and for scalar code.
void pack_plain(int width, const Operand& from, std::int64_t indices, std::int64_t depth, float* panel) {
  for (std::int64_t k = 0; k < depth; ++k)
    for (std::int64_t i = 0; i < width; ++i) panel[k * width + i] = i < indices ? *at(from, i, k).data : 0.0f;
}

#if defined(__AVX2__)

template <int kCount>
void pack_indices(const Operand& from, std::int64_t depth, float* to, int width) {
  static_assert(kCount >= 4 && kCount <= kVecWidth);
  if (from.depth_outer) {
    for (std::int64_t k = 0; k < depth; ++k)
      store_first<kCount>(to + k * width, load_first<kCount>(from.data + k * from.stride));
  } else {
    std::int64_t k = 0;
#if defined(__AVX512F__)
    if constexpr (kCount == 16)
      for (; k + 16 <= depth; k += 16) {
        Vec columns[16];
        transpose_sixteen(from.data + k, from.stride, columns);
#pragma GCC unroll 16
        for (int j = 0; j < 16; ++j) store(to + (k + j) * width, columns[j]);
      }
#endif
    for (; k + 4 <= depth; k += 4)
      transpose_four<kCount>(
          from.data + k, from.stride,
          {to + k * width, to + (k + 1) * width, to + (k + 2) * width, to + (k + 3) * width});
  }
}

/// A panel without padding; returns how many depths were done.
template <int kWidth>
std::int64_t pack_full(const Operand& from, std::int64_t depth, float* panel) {
  constexpr int kRest = kWidth % kVecWidth;
  for (int i = 0; i + kVecWidth <= kWidth; i += kVecWidth)
    pack_indices<kVecWidth>(at(from, i, 0), depth, panel + i, kWidth);
  if constexpr (kRest != 0)
    pack_indices<kRest>(at(from, kWidth - kRest, 0), depth, panel + kWidth - kRest, kWidth);
  return from.depth_outer ? depth : depth - depth % 4;
}

#else

template <int kWidth>
std::int64_t pack_full(const Operand&, std::int64_t, float*) {
  return 0;
}

#endif

template <int kWidth>
void pack_depths(const Operand& from, std::int64_t extent, std::int64_t k, std::int64_t count,
                 std::int64_t depth, float* panels) {
  for (std::int64_t i = 0; i < extent; i += kWidth) {
    float* panel = panels + i * depth + k * kWidth;
    const std::int64_t indices = extent - i < kWidth ? extent - i : kWidth;
    const std::int64_t done = indices == kWidth ? pack_full<kWidth>(at(from, i, k), count, panel) : 0;
    pack_plain(kWidth, at(from, i, k + done), indices, count - done, panel + done * kWidth);
  }
}

// Where consecutive depths lie far apart, a few of them are taken across all panels: so a page of the matrix
// is visited once and not once a panel.
template <int kWidth>
void pack_panels(const Operand& from, std::int64_t extent, std::int64_t depth, float* panels) {
  constexpr std::int64_t kFewDepths = 32;
  const std::int64_t step = from.depth_outer ? kFewDepths : depth;
  for (std::int64_t k = 0; k < depth; k += step)
    pack_depths<kWidth>(from, extent, k, depth - k < step ? depth - k : step, depth, panels);
}

}  // namespace

void pack_left(const Operand& from, std::int64_t first, std::int64_t extent, std::int64_t k,
               std::int64_t depth, float* panels) {
  pack_panels<kTileRows>(at(from, first, k), extent, depth, panels);
}

void pack_right(const Operand& from, std::int64_t first, std::int64_t extent, std::int64_t k,
                std::int64_t depth, float* panels) {
  pack_panels<kTileCols>(at(from, first, k), extent, depth, panels);
}

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
