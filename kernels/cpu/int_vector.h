#pragma once

// Vectors of 32-bit words for the integer products: a word is one integer or a pair of 16-bit ones. Included
// by
// *.isa.cpp files only; scalar code is a vector of one.

#include "kernels/cpu/vector.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

#if defined(__AVX2__)
AFTUNE_OP std::int32_t largest(__m256i v) {
  __m128i most = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1)));
}
AFTUNE_OP std::int64_t sum_wide(__m256i v) {
  const __m128i sum = _mm_add_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  return _mm_cvtsi128_si64(sum) + _mm_extract_epi64(sum, 1);
}
#endif

#if defined(__AVX512F__)

using IntVec = __m512i;
AFTUNE_OP IntVec int_zero() {
  return _mm512_setzero_si512();
}
AFTUNE_OP IntVec load_words(const std::uint32_t* p) {
  return _mm512_loadu_si512(p);
}
AFTUNE_OP IntVec broadcast_word(std::uint32_t word) {
  return _mm512_set1_epi32(static_cast<std::int32_t>(word));
}
/// acc + the dot products of the words' halves; exact unless a sum leaves 32 bits. In assembly, because g++
/// 12 moves a tile's accumulators to memory and back if these are intrinsics.
AFTUNE_OP IntVec dot(IntVec acc, IntVec a, IntVec b) {
#if defined(__AVX512VNNI__)
  asm("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
#else
  IntVec product;
  asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+v"(acc), "=&v"(product) : "v"(a), "v"(b));
#endif
  return acc;
}
AFTUNE_OP Vec to_float(IntVec v) {
  return _mm512_maskz_cvtepi32_ps(0xffff, v);
}
AFTUNE_OP IntVec to_int(Vec v) {
  return _mm512_maskz_cvtps_epi32(0xffff, v);
}
AFTUNE_OP void store_words(std::uint32_t* p, IntVec v) {
  _mm512_storeu_si512(p, v);
}
AFTUNE_OP IntVec max_int(IntVec a, IntVec b) {
  return _mm512_maskz_max_epi32(0xffff, a, b);
}
/// The bits without their signs, which are in the order of the magnitudes.
AFTUNE_OP IntVec magnitude_bits(Vec v) {
  return _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7fffffff));
}
/// 16-bit pairs of the integers 2i and 2i + 1 of a, then of b, in each 128-bit part.
AFTUNE_OP IntVec pack_neighbours(IntVec a, IntVec b) {
  return _mm512_packs_epi32(a, b);
}
/// 16-bit pairs of an integer of `low` and the same one of `high`.
AFTUNE_OP IntVec pair_up(IntVec low, IntVec high) {
  return _mm512_mask_blend_epi16(0xaaaaaaaa, low, _mm512_maskz_slli_epi32(0xffff, high, 16));
}
/// As 64-bit integers, unsigned words 0, 2, 4, ... or 1, 3, 5, ...
AFTUNE_OP IntVec even_words(IntVec v) {
  return _mm512_maskz_mov_epi32(0x5555, v);
}
AFTUNE_OP IntVec odd_words(IntVec v) {
  return _mm512_maskz_srli_epi64(0xff, v, 32);
}
AFTUNE_OP IntVec add_wide(IntVec a, IntVec b) {
  return _mm512_add_epi64(a, b);
}
AFTUNE_OP __m256i lower_half(IntVec v) {
  return _mm512_maskz_extracti64x4_epi64(0xf, v, 0);
}
AFTUNE_OP __m256i upper_half(IntVec v) {
  return _mm512_maskz_extracti64x4_epi64(0xf, v, 1);
}
AFTUNE_OP std::int32_t largest(IntVec v) {
  return largest(_mm256_max_epi32(lower_half(v), upper_half(v)));
}
AFTUNE_OP std::int64_t sum_wide(IntVec v) {
  return sum_wide(_mm256_add_epi64(lower_half(v), upper_half(v)));
}
AFTUNE_OP Vec multiply(Vec a, Vec b) {
  return _mm512_mul_ps(a, b);
}

#elif defined(__AVX2__)

using IntVec = __m256i;
AFTUNE_OP IntVec int_zero() {
  return _mm256_setzero_si256();
}
AFTUNE_OP IntVec load_words(const std::uint32_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
AFTUNE_OP IntVec broadcast_word(std::uint32_t word) {
  return _mm256_set1_epi32(static_cast<std::int32_t>(word));
}
AFTUNE_OP IntVec dot(IntVec acc, IntVec a, IntVec b) {
  IntVec product;
  asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(acc), "=&x"(product) : "x"(a), "x"(b));
  return acc;
}
AFTUNE_OP Vec to_float(IntVec v) {
  return _mm256_cvtepi32_ps(v);
}
AFTUNE_OP IntVec to_int(Vec v) {
  return _mm256_cvtps_epi32(v);
}
AFTUNE_OP void store_words(std::uint32_t* p, IntVec v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
}
AFTUNE_OP IntVec max_int(IntVec a, IntVec b) {
  return _mm256_max_epi32(a, b);
}
AFTUNE_OP IntVec magnitude_bits(Vec v) {
  return _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7fffffff));
}
AFTUNE_OP IntVec pack_neighbours(IntVec a, IntVec b) {
  return _mm256_packs_epi32(a, b);
}
AFTUNE_OP IntVec pair_up(IntVec low, IntVec high) {
  return _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xaa);
}
AFTUNE_OP IntVec even_words(IntVec v) {
  return _mm256_blend_epi32(_mm256_setzero_si256(), v, 0x55);
}
AFTUNE_OP IntVec odd_words(IntVec v) {
  return _mm256_srli_epi64(v, 32);
}
AFTUNE_OP IntVec add_wide(IntVec a, IntVec b) {
  return _mm256_add_epi64(a, b);
}
AFTUNE_OP Vec multiply(Vec a, Vec b) {
  return _mm256_mul_ps(a, b);
}

#else

using IntVec = std::int32_t;
AFTUNE_OP IntVec int_zero() {
  return 0;
}
AFTUNE_OP IntVec load_words(const std::uint32_t* p) {
  return static_cast<std::int32_t>(*p);
}
AFTUNE_OP IntVec broadcast_word(std::uint32_t word) {
  return static_cast<std::int32_t>(word);
}
AFTUNE_OP IntVec dot(IntVec acc, IntVec a, IntVec b) {
  acc +=
      static_cast<std::int16_t>(a & 0xffff) * static_cast<std::int16_t>(b & 0xffff) + (a >> 16) * (b >> 16);
#if defined(__aarch64__)
  // g++ 12.2 vectorises chains of these wrongly for this processor where a tile has one row; so it must not.
  asm("" : "+r"(acc));
#endif
  return acc;
}
AFTUNE_OP Vec to_float(IntVec v) {
  return static_cast<float>(v);
}
AFTUNE_OP Vec multiply(Vec a, Vec b) {
  return a * b;
}

#endif

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
