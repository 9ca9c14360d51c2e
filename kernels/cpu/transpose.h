#pragma once

// Vectors whose last lanes are not used, and 4 x 4 transpositions, which packing consists of. Included by
// *.isa.cpp files only.

#include "kernels/cpu/vector.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

#if defined(__AVX2__)

#if defined(__AVX512F__)
using Mask = __mmask16;
// The forms with a mask are used because g++ 12 warns about its own headers in the others.
inline constexpr Mask kAllLanes = 0xffff;
AFTUNE_OP Mask mask_of(int count) {
  return static_cast<Mask>((1u << count) - 1u);
}
AFTUNE_OP Vec load_some(const float* p, Mask mask) {
  return _mm512_maskz_loadu_ps(mask, p);
}
AFTUNE_OP void store_some(float* p, Mask mask, Vec v) {
  _mm512_mask_storeu_ps(p, mask, v);
}

/// The first kCount lanes.
template <int kCount>
AFTUNE_OP Vec load_first(const float* p) {
  if constexpr (kCount == kVecWidth) return load(p);
  return load_some(p, mask_of(kCount));
}
template <int kCount>
AFTUNE_OP void store_first(float* p, Vec v) {
  if constexpr (kCount == kVecWidth)
    store(p, v);
  else
    store_some(p, mask_of(kCount), v);
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
AFTUNE_OP Mask mask_of(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
AFTUNE_OP Vec load_some(const float* p, Mask mask) {
  return _mm256_maskload_ps(p, mask);
}
template <int kCount>
AFTUNE_OP Vec load_first(const float* p) {
  if constexpr (kCount == kVecWidth) return load(p);
  return load_some(p, mask_of(kCount));
}
// A store with a mask takes some processors tens of cycles.
template <int kCount>
AFTUNE_OP void store_first(float* p, Vec v) {
  static_assert(kCount == 8 || kCount == 6);
  if constexpr (kCount == 8) {
    store(p, v);
  } else {
    _mm_storeu_ps(p, _mm256_castps256_ps128(v));
    _mm_storel_pi(reinterpret_cast<__m64*>(p + 4), _mm256_extractf128_ps(v, 1));
  }
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

/// Element (i, j) of kCount rows and four columns, at from[i * stride + j], becomes to[j][i].
template <int kCount>
AFTUNE_OP void transpose_four(const float* from, std::int64_t stride, Vec (&to)[4]) {
  Vec row[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) row[j] = load_fours(from + j * stride, stride, kCount - j);
  const Vec a = low_pairs(row[0], row[1]), b = high_pairs(row[0], row[1]);
  const Vec c = low_pairs(row[2], row[3]), d = high_pairs(row[2], row[3]);
  to[0] = shuffle<0x44>(a, c);
  to[1] = shuffle<0xee>(a, c);
  to[2] = shuffle<0x44>(b, d);
  to[3] = shuffle<0xee>(b, d);
}

/// The same to memory.
template <int kCount>
AFTUNE_OP void transpose_four(const float* from, std::int64_t stride, float* const (&to)[4]) {
  Vec column[4];
  transpose_four<kCount>(from, stride, column);
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) store_first<kCount>(to[j], column[j]);
}

#if defined(__AVX512F__)
template <int kSelect>
AFTUNE_OP Vec shuffle_fours(Vec a, Vec b) {
  return _mm512_maskz_shuffle_f32x4(kAllLanes, a, b, kSelect);
}

/// Element (i, j) of sixteen rows and columns, at from[i * stride + j], becomes to[j][i]. Each row is read
/// once, whole: where rows lie a multiple of a page apart, few of them stay in the first-level cache
/// together.
AFTUNE_OP void transpose_sixteen(const float* from, std::int64_t stride, Vec (&to)[16]) {
  Vec four[4][4];  // [rows 4g to 4g + 3][column c of each four]
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    const float* rows = from + 4 * g * stride;
    const Vec row0 = load(rows), row1 = load(rows + stride);
    const Vec row2 = load(rows + 2 * stride), row3 = load(rows + 3 * stride);
    const Vec a = low_pairs(row0, row1), b = high_pairs(row0, row1);
    const Vec c = low_pairs(row2, row3), d = high_pairs(row2, row3);
    four[g][0] = shuffle<0x44>(a, c);
    four[g][1] = shuffle<0xee>(a, c);
    four[g][2] = shuffle<0x44>(b, d);
    four[g][3] = shuffle<0xee>(b, d);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const Vec a = shuffle_fours<0x44>(four[0][c], four[1][c]),
              b = shuffle_fours<0xee>(four[0][c], four[1][c]);
    const Vec d = shuffle_fours<0x44>(four[2][c], four[3][c]),
              e = shuffle_fours<0xee>(four[2][c], four[3][c]);
    to[c] = shuffle_fours<0x88>(a, d);
    to[4 + c] = shuffle_fours<0xdd>(a, d);
    to[8 + c] = shuffle_fours<0x88>(b, e);
    to[12 + c] = shuffle_fours<0xdd>(b, e);
  }
}
#endif

#endif

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
