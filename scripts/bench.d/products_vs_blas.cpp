// The matrix products of kernels/ops.h beside OpenBLAS sgemm, which sums in an order of its own choosing, and
// beside what the FMA units give from registers alone. Both sides get the plain row-major operands, so
// packing and quantising are timed, except where the right factor is said to be packed already.
//
// usage: products_vs_blas [rounds [threads]]

#include <cblas.h>
#include <openblas_config.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/error.h"
#include "base/parallel.h"
#include "fma_peak.h"
#include "kernels/i14.h"
#include "kernels/ops.h"

namespace {

using namespace aftune;

struct Shape {
  int m, n, k;
  double gflop() const { return 2e-9 * m * n * k; }
};

std::vector<float> numbers(int rows, int cols) {
  std::vector<float> x(static_cast<std::size_t>(rows) * static_cast<std::size_t>(cols));
  unsigned state = 1;
  for (float& value : x) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
  }
  return x;
}

struct Figure {
  double median, least, most;
};

Figure figure(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}

class Bench {
 public:
  Bench(int rounds, int threads) : rounds_(rounds), pool_(threads) {}

  void forward(const Shape& s) {
    const std::vector<float> x = numbers(s.m, s.k), w = numbers(s.n, s.k);
    std::vector<float> c = numbers(s.m, s.n);
    kernels::I14Factor left, weights;
    weights.quantise_rows(pool_, kernels::Side::kRight, s.n, s.k, w.data());
    compare("linear", s,
            {{"f32", [&] { kernels::linear(pool_, s.m, s.k, s.n, x.data(), w.data(), c.data()); }},
             {"i14", [&] { kernels::linear_i14(pool_, s.m, s.k, s.n, x.data(), w.data(), c.data()); }},
             {"i14, packed w",
              [&] {
                left.quantise_rows(pool_, kernels::Side::kLeft, s.m, s.k, x.data());
                kernels::multiply_i14(pool_, left, weights, c.data(), kernels::Into::kStore);
              }}},
            [&] {
              cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, s.m, s.n, s.k, 1.0f, x.data(), s.k,
                          w.data(), s.k, 0.0f, c.data(), s.n);
            });
  }

  void grad_input(const Shape& s) {
    const std::vector<float> dy = numbers(s.m, s.k), w = numbers(s.k, s.n);
    std::vector<float> c = numbers(s.m, s.n);
    kernels::I14Factor left, weights;
    weights.quantise_columns(pool_, kernels::Side::kRight, s.n, s.k, w.data());
    constexpr auto kStore = kernels::Into::kStore;
    compare(
        "linear_grad_input", s,
        {{"f32",
          [&] { kernels::linear_grad_input(pool_, s.m, s.n, s.k, dy.data(), w.data(), c.data(), kStore); }},
         {"i14",
          [&] {
            kernels::linear_grad_input_i14(pool_, s.m, s.n, s.k, dy.data(), w.data(), c.data(), kStore);
          }},
         {"i14, packed w",
          [&] {
            left.quantise_rows(pool_, kernels::Side::kLeft, s.m, s.k, dy.data());
            kernels::multiply_i14(pool_, left, weights, c.data(), kStore);
          }}},
        [&] {
          cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, s.m, s.n, s.k, 1.0f, dy.data(), s.k,
                      w.data(), s.n, 0.0f, c.data(), s.n);
        });
  }

  /// Rows of 256 tokens, whose results we add one by one; the peer sums over all tokens at once.
  void grad_weight(const Shape& s) {
    const std::vector<float> dy = numbers(s.k, s.m), x = numbers(s.k, s.n);
    std::vector<float> c = numbers(s.m, s.n);
    std::vector<std::int64_t> starts;
    for (int token = 0; token <= s.k; token += 256) starts.push_back(token);
    const std::int64_t rows = static_cast<std::int64_t>(starts.size()) - 1;
    compare("linear_grad_weight", s,
            {{"f32",
              [&] {
                kernels::linear_grad_weight(pool_, rows, starts.data(), s.n, s.m, dy.data(), x.data(),
                                            c.data());
              }},
             {"i14",
              [&] {
                kernels::linear_grad_weight_i14(pool_, rows, starts.data(), s.n, s.m, dy.data(), x.data(),
                                                c.data());
              }}},
            [&] {
              cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, s.m, s.n, s.k, 1.0f, dy.data(), s.m,
                          x.data(), s.n, 1.0f, c.data(), s.n);
            });
  }

  /// Of the left and the right factor, as a share of the product of 1024^3.
  void quantising() {
    constexpr int kSize = 1024;
    const std::vector<float> x = numbers(kSize, kSize);
    std::vector<float> c = numbers(kSize, kSize);
    kernels::I14Factor left, right;
    std::vector<double> share[4];
    const auto quantise = [&](int which) {
      kernels::I14Factor& factor = which % 2 == 0 ? left : right;
      const kernels::Side side = which % 2 == 0 ? kernels::Side::kLeft : kernels::Side::kRight;
      if (which < 2)
        factor.quantise_rows(pool_, side, kSize, kSize, x.data());
      else
        factor.quantise_columns(pool_, side, kSize, kSize, x.data());
    };
    for (int round = -1; round < rounds_; ++round)
      for (int which = 0; which < 4; ++which) {
        const double spent = seconds([&] { quantise(which); });
        if (which % 2 == 0) quantise(which + 1);
        const double product =
            seconds([&] { kernels::multiply_i14(pool_, left, right, c.data(), kernels::Into::kStore); });
        if (round >= 0) share[which].push_back(spent / product);
      }
    constexpr const char* kNames[] = {"left, rows", "right, rows", "left, columns", "right, columns"};
    for (int which = 0; which < 4; ++which)
      std::printf("quantising 1024x1024, %-14s %5.1f %% of multiplying 1024^3\n", kNames[which],
                  100 * figure(share[which]).median);
  }

 private:
  struct Ours {
    const char* name;
    std::function<void()> run;
    std::vector<double> rate = {}, ratio = {};
  };

  // Round by round, one after the other, so that what else the machine does meets all.
  void compare(const char* product, const Shape& s, std::vector<Ours> ours,
               const std::function<void()>& peer) {
    std::vector<double> peer_rate, peak;
    for (Ours& our : ours) our.run();
    peer();
    for (int round = 0; round < rounds_; ++round) {
      peak.push_back(bench::fma_peak());
      peer_rate.push_back(s.gflop() / seconds(peer));
      for (Ours& our : ours) {
        our.rate.push_back(s.gflop() / seconds(our.run));
        our.ratio.push_back(our.rate.back() / peer_rate.back());
      }
    }
    for (const Ours& our : ours) {
      const Figure now = figure(our.rate), peers = figure(peer_rate), ratios = figure(our.ratio);
      std::printf(
          "%-18s %-13s %4dx%4dx%4d  %7.1f (%6.1f-%6.1f)  %7.1f (%6.1f-%6.1f)  %5.2f (%.2f-%.2f)  %7.1f\n",
          product, our.name, s.m, s.n, s.k, now.median, now.least, now.most, peers.median, peers.least,
          peers.most, ratios.median, ratios.least, ratios.most, figure(peak).median);
    }
    std::fflush(stdout);
  }

  /// With one thread its processor time, so that other work on the machine is not counted.
  double seconds(const std::function<void()>& body) const {
    if (pool_.threads() == 1) return bench::cpu_seconds(body);
    const auto start = std::chrono::steady_clock::now();
    body();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  int rounds_;
  ThreadPool pool_;
};

int run(int rounds, int threads) {
  openblas_set_num_threads(threads);
  std::printf("%s, %s, %d thread%s; OpenBLAS: %s, core %s\n", std::string(cpu_name()).c_str(),
              std::string(name(active_isa())).c_str(), threads, threads == 1 ? "" : "s",
              openblas_get_config(), openblas_get_corename());
  for (const char* variable : {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"})
    if (std::getenv(variable) != nullptr)
      std::printf("warning: %s is set and decides the peer's speed\n", variable);
  std::printf("GFLOP/s: median (least-most) of %d rounds; peak: one thread, registers only\n", rounds);
  std::printf("%-18s %-13s %14s  %23s  %23s  %17s  %7s\n", "product", "profile", "MxNxK", "ours",
              "OpenBLAS sgemm", "ours/OpenBLAS", "peak");
  Bench bench(rounds, threads);
  for (const Shape& s : {Shape{1024, 1024, 1024}, Shape{512, 4096, 1024}, Shape{512, 1024, 4096}}) {
    bench.forward(s);
    bench.grad_input(s);
    bench.grad_weight(s);
  }
  bench.quantising();
  return 0;
}

int positive(const char* text) {
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (end == text || *end != '\0' || value < 1 || value > 1000)
    fail(Fault::kUsage, text, ": not a number from 1 to 1000");
  return static_cast<int>(value);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc > 1 ? positive(argv[1]) : 7, argc > 2 ? positive(argv[2]) : 1);
  } catch (const Error& e) {
    std::fprintf(stderr, "products_vs_blas: error: %s\n", e.what());
    return 2;
  }
}
