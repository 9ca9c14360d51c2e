#pragma once

// What differs between the targets that the arithmetic is compiled for. An op's body is written once, in a
// header, and compiled as scalar, AVX2 and AVX-512 code and, where nvcc is found, for CUDA. Each of these has
// a namespace of its own, so that the linker never takes one target's copy of an inline function for
// another's.

#include <cstdint>

#if defined(__CUDACC__)
#undef AFTUNE_ISA_NAMESPACE
#define AFTUNE_ISA_NAMESPACE cuda
#define AFTUNE_OP __device__ __forceinline__
#else
#ifndef AFTUNE_ISA_NAMESPACE
#define AFTUNE_ISA_NAMESPACE portable
#endif
#define AFTUNE_OP __attribute__((always_inline)) inline
#endif

// The iterations of the next loop do not depend on each other, so it can be vectorised without run-time
// checks of whether its pointers overlap; y may still be the same array as x.
#if defined(__clang__)
#define AFTUNE_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__) && !defined(__CUDACC__)
#define AFTUNE_INDEPENDENT _Pragma("GCC ivdep")
#else
#define AFTUNE_INDEPENDENT
#endif

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// a * b + c, rounded once. The only way to write an fma: no compiler may form one by itself.
AFTUNE_OP float fma32(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
AFTUNE_OP double fma64(double a, double b, double c) {
  return __builtin_fma(a, b, c);
}
AFTUNE_OP float sqrt32(float x) {
  return __builtin_sqrtf(x);
}
AFTUNE_OP double sqrt64(double x) {
  return __builtin_sqrt(x);
}

AFTUNE_OP std::uint32_t bits32(float x) {
  return __builtin_bit_cast(std::uint32_t, x);
}
AFTUNE_OP float float32(std::uint32_t bits) {
  return __builtin_bit_cast(float, bits);
}
AFTUNE_OP std::uint64_t bits64(double x) {
  return __builtin_bit_cast(std::uint64_t, x);
}
AFTUNE_OP double float64(std::uint64_t bits) {
  return __builtin_bit_cast(double, bits);
}

/// False for NaN and the infinities.
AFTUNE_OP bool finite32(float x) {
  return (bits32(x) & 0x7f800000u) != 0x7f800000u;
}

constexpr float kInfinity32 = __builtin_inff();
constexpr float kNan32 = __builtin_nanf("");

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
