#pragma once

// The vector registers of the instruction set that a *.isa.cpp file is compiled for. Scalar code is a vector
// of one.

#include "kernels/target.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

#if defined(__AVX512F__)

using Vec = __m512;
inline constexpr int kVecWidth = 16;
AFTUNE_OP Vec zero() {
  return _mm512_setzero_ps();
}
AFTUNE_OP Vec load(const float* p) {
  return _mm512_loadu_ps(p);
}
AFTUNE_OP void store(float* p, Vec v) {
  _mm512_storeu_ps(p, v);
}
AFTUNE_OP Vec broadcast(float x) {
  return _mm512_set1_ps(x);
}
AFTUNE_OP Vec add(Vec a, Vec b) {
  return _mm512_add_ps(a, b);
}
AFTUNE_OP Vec multiply_add(Vec a, Vec b, Vec c) {
  return _mm512_fmadd_ps(a, b, c);
}

#elif defined(__AVX2__)

using Vec = __m256;
inline constexpr int kVecWidth = 8;
AFTUNE_OP Vec zero() {
  return _mm256_setzero_ps();
}
AFTUNE_OP Vec load(const float* p) {
  return _mm256_loadu_ps(p);
}
AFTUNE_OP void store(float* p, Vec v) {
  _mm256_storeu_ps(p, v);
}
AFTUNE_OP Vec broadcast(float x) {
  return _mm256_set1_ps(x);
}
AFTUNE_OP Vec add(Vec a, Vec b) {
  return _mm256_add_ps(a, b);
}
AFTUNE_OP Vec multiply_add(Vec a, Vec b, Vec c) {
  return _mm256_fmadd_ps(a, b, c);
}

#else

using Vec = float;
inline constexpr int kVecWidth = 1;
AFTUNE_OP Vec zero() {
  return 0.0f;
}
AFTUNE_OP Vec load(const float* p) {
  return *p;
}
AFTUNE_OP void store(float* p, Vec v) {
  *p = v;
}
AFTUNE_OP Vec broadcast(float x) {
  return x;
}
AFTUNE_OP Vec add(Vec a, Vec b) {
  return a + b;
}
AFTUNE_OP Vec multiply_add(Vec a, Vec b, Vec c) {
  return __builtin_fmaf(a, b, c);
}

#endif

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
