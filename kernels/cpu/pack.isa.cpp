#include "kernels/cpu/pack.h"

#include "kernels/cpu/register_tile.h"

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

#if defined(__AVX512F__)
using Mask = __mmask16;
// The forms with a mask are used because g++ 12 warns about its own headers in the others.
constexpr Mask kAllLanes = 0xffff;
Mask mask_of(int count) {
  return static_cast<Mask>((1u << count) - 1u);
}
AFTUNE_OP Vec load_some(const float* p, Mask mask) {
  return _mm512_maskz_loadu_ps(mask, p);
}
AFTUNE_OP void store_some(float* p, Mask mask, Vec v) {
  _mm512_mask_storeu_ps(p, mask, v);
}

/// Rows 0, 4, 8, 12 of four elements each, side by side.
AFTUNE_OP Vec load_fours(const float* p, std::int64_t stride, int rows) {
  Vec v = _mm512_zextps128_ps512(_mm_loadu_ps(p));
  if (rows > 4) v = _mm512_maskz_insertf32x4(kAllLanes, v, _mm_loadu_ps(p + 4 * stride), 1);
  if (rows > 8) v = _mm512_maskz_insertf32x4(kAllLanes, v, _mm_loadu_ps(p + 8 * stride), 2);
  if (rows > 12) v = _mm512_maskz_insertf32x4(kAllLanes, v, _mm_loadu_ps(p + 12 * stride), 3);
  return v;
}
AFTUNE_OP Vec low_pairs(Vec a, Vec b) {
  return _mm512_maskz_unpacklo_ps(kAllLanes, a, b);
}
AFTUNE_OP Vec high_pairs(Vec a, Vec b) {
  return _mm512_maskz_unpackhi_ps(kAllLanes, a, b);
}
template <int kSelect>
AFTUNE_OP Vec shuffle(Vec a, Vec b) {
  return _mm512_maskz_shuffle_ps(kAllLanes, a, b, kSelect);
}
#else
using Mask = __m256i;
Mask mask_of(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
AFTUNE_OP Vec load_some(const float* p, Mask mask) {
  return _mm256_maskload_ps(p, mask);
}
AFTUNE_OP void store_some(float* p, Mask mask, Vec v) {
  _mm256_maskstore_ps(p, mask, v);
}
AFTUNE_OP Vec load_fours(const float* p, std::int64_t stride, int rows) {
  Vec v = _mm256_castps128_ps256(_mm_loadu_ps(p));
  if (rows > 4) v = _mm256_insertf128_ps(v, _mm_loadu_ps(p + 4 * stride), 1);
  return v;
}
AFTUNE_OP Vec low_pairs(Vec a, Vec b) {
  return _mm256_unpacklo_ps(a, b);
}
AFTUNE_OP Vec high_pairs(Vec a, Vec b) {
  return _mm256_unpackhi_ps(a, b);
}
template <int kSelect>
AFTUNE_OP Vec shuffle(Vec a, Vec b) {
  return _mm256_shuffle_ps(a, b, kSelect);
}
#endif

// Four depths of kCount indices: 4 x 4 transpositions inside the 128-bit parts.
template <int kCount>
AFTUNE_OP void transpose_four(const float* from, std::int64_t stride, float* to, int width, Mask mask) {
  Vec row[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) row[j] = load_fours(from + j * stride, stride, kCount - j);
  const Vec a = low_pairs(row[0], row[1]), b = high_pairs(row[0], row[1]);
  const Vec c = low_pairs(row[2], row[3]), d = high_pairs(row[2], row[3]);
  store_some(to, mask, shuffle<0x44>(a, c));
  store_some(to + width, mask, shuffle<0xee>(a, c));
  store_some(to + 2 * width, mask, shuffle<0x44>(b, d));
  store_some(to + 3 * width, mask, shuffle<0xee>(b, d));
}

template <int kCount>
void pack_indices(const Operand& from, std::int64_t depth, float* to, int width) {
  static_assert(kCount >= 4 && kCount <= kVecWidth);
  const Mask mask = mask_of(kCount);
  if (from.depth_outer) {
    for (std::int64_t k = 0; k < depth; ++k)
      store_some(to + k * width, mask, load_some(from.data + k * from.stride, mask));
  } else {
    for (std::int64_t k = 0; k + 4 <= depth; k += 4)
      transpose_four<kCount>(from.data + k, from.stride, to + k * width, width, mask);
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
