// One training step of the bench model (hidden 512, 8 layers, 8 rows of 256 tokens, tied): seconds, GFLOP/s,
// the share of the FMA peak, and what products and attention take of it when they run alone.
//
// usage: bench-step [threads [steps [vocabulary [profile]]]]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "bench_step.h"
#include "fma_peak.h"
#include "kernels/ops.h"
#include "kernels/profile.h"
#include "model/products.h"
#include "train/engine.h"

namespace {

using namespace aftune;
using namespace aftune::bench;

struct Time {
  double wall = 0, cpu = 0;
};

Time timed(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  const double cpu = cpu_seconds(body);
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), cpu};
}

/// Processor time of the body once it is warm.
double warm_cpu(const std::function<void()>& body) {
  body();
  return std::min(timed(body).cpu, timed(body).cpu);
}

Buffer numbers(std::int64_t count) {
  Buffer b(count);
  for (std::int64_t i = 0; i < count; ++i) b[i] = static_cast<float>(i * 37 % 1001) * 1e-3f - 0.5f;
  return b;
}

/// Processor time of what a step does with matrices [out, in] that read one input: forward and both
/// gradients.
class AllProducts {
 public:
  AllProducts(ThreadPool& pool, const kernels::Profile& profile, const data::Rows& rows)
      : products_(pool, profile), rows_(rows) {}

  double cpu(std::int64_t vocab) {
    return kLayers * (of(kHidden, kHidden, 3) + of(kHidden, kHidden, 1) + of(kHidden, kInter, 2) +
                      of(kInter, kHidden, 1)) +
           of(kHidden, vocab, 1);
  }

 private:
  double of(std::int64_t in, std::int64_t out, int matrices) {
    const Buffer w = numbers(out * in);
    Matrix x(kTokens, in), dx(kTokens, in), dy(kTokens, out);
    x.values = numbers(kTokens * in);
    dy.values = numbers(kTokens * out);
    Buffer dw = numbers(out * in);
    return warm_cpu([&] {
      products_.weights_changed();
      std::vector<model::Weight> weights;
      for (int i = 0; i < matrices; ++i) weights.push_back({kNames[i], w, out, in});
      {
        model::Products::Input input(products_, x);
        for (const model::Weight& weight : weights) products_.linear(weight, input);
      }
      {
        model::Products::Input input(products_, x);
        for (const model::Weight& weight : weights)
          products_.grad_weight(weight, rows_.row_starts, dy, input, dw);
      }
      for (const model::Weight& weight : weights) products_.grad_input(weight, dy, dx, kernels::Into::kAdd);
    });
  }

  static constexpr const char* kNames[] = {"a", "b", "c"};
  model::Products products_;
  const data::Rows& rows_;
};

double all_attention(ThreadPool& pool, const data::Rows& rows) {
  const kernels::AttentionShape shape{kHeads, kHeads, kHidden / kHeads, 0.125f};
  const std::int64_t size = kTokens * kHidden;
  const Buffer q = numbers(size), k = numbers(size), v = numbers(size), d_o = numbers(size);
  Buffer o(size), dq(size), dk(size), dv(size), max(kTokens * kHeads), sum(kTokens * kHeads);
  return kLayers * warm_cpu([&] {
           kernels::attention(pool, shape, kBatch, rows.doc_starts.data(), q.data(), k.data(), v.data(),
                              o.data(), max.data(), sum.data());
           kernels::attention_grad(pool, shape, kBatch, rows.doc_starts.data(), q.data(), k.data(), v.data(),
                                   o.data(), max.data(), sum.data(), d_o.data(), dq.data(), dk.data(),
                                   dv.data());
         });
}

void run(int threads, int steps, std::int64_t vocab, const kernels::Profile& profile) {
  ThreadPool pool(threads);
  train::Engine engine(bench_options(pool, vocab, profile));
  for (const auto& block : engine.blocks()) model::init_parameters(*block, engine.options());
  const data::Rows rows = full_rows(vocab);
  std::int64_t t = 0;
  const auto step = [&] { engine.step(t++, 1e-4, kTokens, rows, kBatch, nullptr); };
  step();  // maps the memory that later steps use again
  AllProducts products(pool, profile, rows);
  // One after the other in each round, so that the shares hold whatever the machine does between rounds.
  std::vector<double> wall, cpu, product_share, attention_share;
  for (int i = 0; i < steps; ++i) {
    const Time time = timed(step);
    wall.push_back(time.wall);
    cpu.push_back(time.cpu);
    product_share.push_back(products.cpu(vocab) / time.cpu);
    attention_share.push_back(all_attention(pool, rows) / time.cpu);
  }
  const Time time{median(wall), median(cpu)};
  const double product = median(product_share), attention = median(attention_share);
  const double product_flop =
      6.0 * kTokens *
      (kLayers * (4 * kHidden * kHidden + 3 * kHidden * kInter) + static_cast<double>(vocab) * kHidden);
  const double attention_flop = kLayers * kTokens * (kSeq + 1) / 2.0 * kHidden * (2 * 2 + 2 * 5);
  const double gflop = 1e-9 * (product_flop + attention_flop), peak = fma_peak();
  std::printf("%s, %s, %s, %d thread%s, vocabulary %lld\n", std::string(cpu_name()).c_str(),
              std::string(name(active_isa())).c_str(), name(profile).c_str(), threads,
              threads == 1 ? "" : "s", static_cast<long long>(vocab));
  std::printf(
      "step %.3f s, processor time %.3f s; %.0f GFLOP: %.1f GFLOP/s a thread, %.0f %% of %.1f (FMA peak)\n",
      time.wall, time.cpu, gflop, gflop / time.cpu, 100 * gflop / time.cpu / peak, peak);
  std::printf(
      "of its processor time products, run alone, take %.0f %% (at %.0f %% of the peak), attention %.0f %% "
      "(at "
      "%.0f %%), the rest %.0f %%\n",
      100 * product, 1e-7 * product_flop / (product * time.cpu) / peak, 100 * attention,
      1e-7 * attention_flop / (attention * time.cpu) / peak, 100 * (1 - product - attention));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto profile = kernels::profile_from_name(argc > 4 ? argv[4] : "i14");
    if (!profile) fail(Fault::kUsage, "no such profile: ", argv[4]);
    run(argc > 1 ? std::atoi(argv[1]) : 1, argc > 2 ? std::atoi(argv[2]) : 3,
        argc > 3 ? std::atoi(argv[3]) : 4096, *profile);
  } catch (const aftune::Error& e) {
    std::fprintf(stderr, "bench-step: error: %s\n", e.what());
    return 2;
  }
}
