// The rate of BLAKE3 over one buffer, in GB/s: the median of some rounds.
//
// usage: bench-blake3 BYTES THREADS ROUNDS

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/parallel.h"
#include "hash/blake3.h"

namespace {

using namespace aftune;

constexpr std::size_t kBytesPerRound = std::size_t{256} << 20;

double seconds(const Bytes& input, ThreadPool& pool, std::size_t times) {
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < times; ++i) {
    volatile std::uint8_t used = hash::blake3(input, &pool).bytes[0];
    static_cast<void>(used);
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void run(std::size_t size, int threads, int rounds) {
  ThreadPool pool(threads);
  const Bytes input(size, std::byte{0x5a});
  const std::size_t times = std::max<std::size_t>(1, kBytesPerRound / size);
  std::vector<double> rates;
  for (int i = 0; i < rounds; ++i)
    rates.push_back(1e-9 * static_cast<double>(size * times) / seconds(input, pool, times));
  std::sort(rates.begin(), rates.end());
  std::printf("%.3f\n", rates[rates.size() / 2]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: bench-blake3 BYTES THREADS ROUNDS\n", stderr);
    return 2;
  }
  try {
    run(std::strtoull(argv[1], nullptr, 10), std::atoi(argv[2]), std::atoi(argv[3]));
  } catch (const Error& e) {
    std::fprintf(stderr, "bench-blake3: error: %s\n", e.what());
    return 2;
  }
}
