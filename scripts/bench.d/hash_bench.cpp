// BLAKE3 by input size, instruction set and threads; SHA-256 leaves.
#include <benchmark/benchmark.h>

#include <span>
#include <vector>

#include "base/cpu.h"
#include "base/parallel.h"
#include "hash/blake3.h"
#include "hash/blake3_tree.h"
#include "hash/merkle.h"

namespace {

using aftune::Bytes;
using aftune::Isa;
namespace hash = aftune::hash;

Bytes input_of(std::int64_t size) {
  return Bytes(static_cast<std::size_t>(size), std::byte{0x5a});
}

void blake3_one_shot(benchmark::State& state) {
  const Bytes input = input_of(state.range(0));
  aftune::ThreadPool pool(static_cast<int>(state.range(1)));
  for (auto _ : state) benchmark::DoNotOptimize(hash::blake3(input, &pool));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(blake3_one_shot)
    ->ArgNames({"bytes", "threads"})
    ->ArgsProduct({{64, 1 << 10, 16 << 10, 4 << 20, 64 << 20}, {1, 2}})
    ->UseRealTime();

void blake3_isa(benchmark::State& state) {
  const auto isa = static_cast<Isa>(state.range(1));
  if (isa > aftune::active_isa()) {
    state.SkipWithError("this CPU does not have it");
    return;
  }
  const Bytes input = input_of(state.range(0));
  hash::Blake3Mode mode{&hash::blake3_lanes(isa), {}, 0};
  for (auto _ : state) benchmark::DoNotOptimize(hash::blake3_subtree(mode, input, 0, nullptr));
  state.SetLabel(std::string(name(isa)));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(blake3_isa)->ArgNames({"bytes", "isa"})->ArgsProduct({{2 << 10, 16 << 10, 4 << 20}, {0, 1, 2}});

void blake3_updates(benchmark::State& state) {
  const Bytes input = input_of(state.range(0));
  hash::Blake3 hasher;
  for (auto _ : state) hasher.update(input);
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(blake3_updates)->ArgName("bytes")->Arg(100)->Arg(4 << 10)->Arg(1 << 20);

void merkle_append(benchmark::State& state) {
  hash::RootBuilder builder;
  for (auto _ : state) builder.append(hash::leaf_hash("a leaf of some length"));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(merkle_append);

}  // namespace

BENCHMARK_MAIN();
