// Prints the GFLOP/s that `threads` threads would reach on fused multiply-adds alone.
//
// usage: bench-peak [threads]

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "fma_peak.h"

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  double peak = 0;
  for (int round = 0; round < 5; ++round) peak = std::max(peak, aftune::bench::fma_peak());
  std::printf("%.1f\n", peak * threads);
}
