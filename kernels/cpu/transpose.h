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

/// Element (j, i) of four columns of kCount rows, at from[i * stride + j], becomes to[j][i].
template <int kCount>
AFTUNE_OP void transpose_four(const float* from, std::int64_t stride, float* const (&to)[4]) {
  Vec row[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) row[j] = load_fours(from + j * stride, stride, kCount - j);
  const Vec a = low_pairs(row[0], row[1]), b = high_pairs(row[0], row[1]);
  const Vec c = low_pairs(row[2], row[3]), d = high_pairs(row[2], row[3]);
  store_first<kCount>(to[0], shuffle<0x44>(a, c));
  store_first<kCount>(to[1], shuffle<0xee>(a, c));
  store_first<kCount>(to[2], shuffle<0x44>(b, d));
  store_first<kCount>(to[3], shuffle<0xee>(b, d));
}

#endif

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
