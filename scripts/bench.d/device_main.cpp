// Rates of a device by itself: matrix products, attention, hashing. Every call is waited for, as in use.
//
// usage: bench-device [DEVICE [tokens [hidden [rounds]]]]     cuda, 4096, 4096, 5

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "device/device.h"
#include "hash/blake3.h"
#include "kernels/i14.h"
#include "kernels/ops.h"
#include "tensor/tensor.h"

namespace {

using namespace aftune;

/// Median seconds of `rounds` runs after one that is not counted.
double seconds(int rounds, const std::function<void()>& body) {
  body();
  std::vector<double> all;
  for (int i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    body();
    all.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

Buffer numbers(ThreadPool& pool, std::int64_t count, std::uint64_t seed) {
  Buffer b(count);
  kernels::init_normal(pool, seed, 0, 1.0f, count, b.data());
  return b;
}

void report(const char* what, double time, double amount, const char* unit) {
  std::printf("%-34s %9.3f ms %9.1f %s\n", what, 1e3 * time, 1e-9 * amount / time, unit);
  std::fflush(stdout);
}

void measure(ThreadPool& pool, std::int64_t n, std::int64_t h, int rounds) {
  const Buffer x = numbers(pool, n * h, 1), w = numbers(pool, h * h, 2);
  Buffer y(n * h), dw = numbers(pool, h * h, 3);
  const double flop = 2.0 * static_cast<double>(n) * static_cast<double>(h) * static_cast<double>(h);
  const std::int64_t rows[] = {0, n / 2, n};
  report("linear, f32",
         seconds(rounds, [&] { kernels::linear(pool, n, h, h, x.data(), w.data(), y.data()); }), flop,
         "GFLOP/s");
  report("gradient of the weight, f32",
         seconds(rounds,
                 [&] { kernels::linear_grad_weight(pool, 2, rows, h, h, y.data(), x.data(), dw.data()); }),
         flop, "GFLOP/s");
  for (const int group : {256, 1024}) {
    kernels::I14Factor left, right;
    right.quantise_rows(pool, kernels::Side::kRight, h, h, w.data(), group);
    report(cat("linear, i14:", group, ", weight quantised").c_str(),
           seconds(rounds,
                   [&] {
                     left.quantise_rows(pool, kernels::Side::kLeft, n, h, x.data(), group);
                     kernels::multiply_i14(pool, left, right, y.data(), kernels::Into::kStore);
                   }),
           flop, "GFLOP/s");
  }
  const kernels::AttentionShape shape{h / 64, h / 64, 64, 0.125f};
  Buffer max(n * shape.heads), sum(n * shape.heads), dq(n * h), dk(n * h), dv(n * h);
  report("attention",
         seconds(rounds,
                 [&] {
                   kernels::attention(pool, shape, 2, rows, x.data(), x.data(), x.data(), y.data(),
                                      max.data(), sum.data());
                 }),
         2.0 * static_cast<double>(n) * static_cast<double>(n) / 2 * static_cast<double>(h), "GFLOP/s");
  report("gradients of attention",
         seconds(rounds,
                 [&] {
                   kernels::attention_grad(pool, shape, 2, rows, x.data(), x.data(), x.data(), y.data(),
                                           max.data(), sum.data(), x.data(), dq.data(), dk.data(), dv.data());
                 }),
         5.0 * static_cast<double>(n) * static_cast<double>(n) / 2 * static_cast<double>(h), "GFLOP/s");
  report("BLAKE3", seconds(rounds, [&] { hash::blake3(x.bytes(), &pool); }),
         static_cast<double>(x.bytes().size()), "GB/s");
  report("copy", seconds(rounds, [&] { y = x.clone(pool); }), static_cast<double>(x.bytes().size()), "GB/s");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const device::Chosen device(argc > 1 ? argv[1] : "cuda");
    ThreadPool pool(available_threads(), device.accelerator());
    const std::int64_t n = argc > 2 ? std::atoll(argv[2]) : 4096, h = argc > 3 ? std::atoll(argv[3]) : 4096;
    std::printf("%s: %lld tokens, hidden %lld\n",
                device.accelerator() == nullptr ? "cpu" : device.accelerator()->name().c_str(),
                static_cast<long long>(n), static_cast<long long>(h));
    measure(pool, n, h, argc > 4 ? std::atoi(argv[4]) : 5);
  } catch (const aftune::Error& e) {
    std::fprintf(stderr, "bench-device: error: %s\n", e.what());
    return 2;
  }
}
