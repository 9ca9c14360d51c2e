#pragma once

// What the processor's FMA units give from registers alone: the ceiling of every product.

#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/cpu.h"

namespace aftune::bench {

/// Processor time of all threads, so that other work on the machine is not counted.
template <class Body>
double cpu_seconds(const Body& body) {
  const auto now = [] {
    timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double start = now();
  body();
  return now() - start;
}

inline constexpr int kChains = 16, kPeakRounds = 1 << 18;

#if defined(__x86_64__)
__attribute__((target("avx512f"))) inline void fma_avx512(float* out) {
  __m512 acc[kChains], a = _mm512_loadu_ps(out);
  for (int c = 0; c < kChains; ++c) acc[c] = _mm512_set1_ps(static_cast<float>(c));
  for (int i = 0; i < kPeakRounds; ++i)
#pragma GCC unroll 16
    for (int c = 0; c < kChains; ++c) acc[c] = _mm512_fmadd_ps(a, a, acc[c]);
  for (int c = 1; c < kChains; ++c) acc[0] = _mm512_add_ps(acc[0], acc[c]);
  _mm512_storeu_ps(out, acc[0]);
}

__attribute__((target("avx2,fma"))) inline void fma_avx2(float* out) {
  constexpr int kFewer = 12;  // of 16 registers
  __m256 acc[kFewer], a = _mm256_loadu_ps(out);
  for (int c = 0; c < kFewer; ++c) acc[c] = _mm256_set1_ps(static_cast<float>(c));
  for (int i = 0; i < kPeakRounds; ++i)
#pragma GCC unroll 12
    for (int c = 0; c < kFewer; ++c) acc[c] = _mm256_fmadd_ps(a, a, acc[c]);
  for (int c = 1; c < kFewer; ++c) acc[0] = _mm256_add_ps(acc[0], acc[c]);
  _mm256_storeu_ps(out, acc[0]);
}
#endif

/// GFLOP/s of one thread, by its processor time, on fused multiply-adds between registers; 0 where there is
/// no loop for the instruction set.
inline double fma_peak() {
  alignas(64) static float sink[16] = {};
#if defined(__x86_64__)
  if (active_isa() >= Isa::kAvx512)
    return 2e-9 * 16 * kChains * kPeakRounds / cpu_seconds([] { fma_avx512(sink); });
  if (active_isa() == Isa::kAvx2) return 2e-9 * 8 * 12 * kPeakRounds / cpu_seconds([] { fma_avx2(sink); });
#endif
  return 0;
}

}  // namespace aftune::bench
