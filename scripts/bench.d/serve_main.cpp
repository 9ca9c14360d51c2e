// Prefill and decoding of a model folder with generate::Decoder, and beside them the rate at which the same
// threads read memory, which bounds decoding: every step reads all weights once. Prints one JSON object,
// rates in tokens and in bytes a second.
//
// usage: bench-serve MODEL [threads [profile [prompt [steps]]]]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "generate/decoder.h"
#include "kernels/profile.h"
#include "model/config.h"
#include "model/folder.h"

namespace {

using namespace aftune;

double seconds(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Bytes a second of all threads together, the best of a few passes over more than the caches hold.
double memory_rate(ThreadPool& pool) {
  constexpr std::int64_t kCount = std::int64_t{1} << 26, kChunk = std::int64_t{1} << 18;
  const Buffer memory = Buffer::zeros(kCount);
  std::vector<std::uint32_t> sums(kCount / kChunk);
  const auto pass = [&] {
    pool.run(kCount / kChunk, [&](std::int64_t chunk) {
      const auto* words = reinterpret_cast<const std::uint32_t*>(memory.data()) + chunk * kChunk;
      std::uint32_t sum = 0;
      for (std::int64_t i = 0; i < kChunk; ++i) sum += words[i];
      sums[static_cast<std::size_t>(chunk)] = sum;
    });
  };
  double best = seconds(pass);
  for (int i = 0; i < 4; ++i) best = std::min(best, seconds(pass));
  return 4.0 * kCount / best;
}

model::EngineOptions options_of(ThreadPool& pool, const std::string& folder,
                                const kernels::Profile& profile) {
  model::EngineOptions options;
  options.config = model::Config::parse(read_file(folder + "/config.json", 1 << 20));
  options.grid = {.layers = options.config.layers,
                  .tied = options.config.tied,
                  .layers_per_block = options.config.layers,
                  .steps = 1,
                  .steps_per_block = 1};
  options.profile = profile;
  options.pool = &pool;
  return options;
}

/// `batch` sequences that grow together.
class Batch {
 public:
  Batch(generate::Decoder& decoder, std::size_t batch) : decoder_(decoder) {
    for (std::size_t i = 0; i < batch; ++i) sequences_.push_back(decoder.begin());
  }

  void feed(std::int64_t count) {
    const std::int64_t vocab = decoder_.options().config.vocab;
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
    for (std::int32_t& token : tokens)
      token = static_cast<std::int32_t>(next_ = next_ * 7919 % vocab + 1) - 1;
    std::vector<generate::Decoder::Feed> feeds;
    for (generate::Sequence& sequence : sequences_) feeds.push_back({&sequence, tokens});
    decoder_.run(feeds);
  }

 private:
  generate::Decoder& decoder_;
  std::vector<generate::Sequence> sequences_;
  std::int64_t next_ = 1;
};

struct Rates {
  double prefill = 0, decode = 0;
};

Rates rates(generate::Decoder& decoder, std::size_t sequences, std::int64_t prompt, int steps) {
  Batch batch(decoder, sequences);
  const double prefill = seconds([&] { batch.feed(prompt); });
  batch.feed(1);
  const double decode = seconds([&] {
    for (int i = 0; i < steps; ++i) batch.feed(1);
  });
  const auto tokens = static_cast<double>(sequences);
  return {tokens * static_cast<double>(prompt) / prefill, tokens * steps / decode};
}

void run(const std::string& folder, int threads, const kernels::Profile& profile, std::int64_t prompt,
         int steps) {
  ThreadPool pool(threads);
  generate::Decoder decoder(options_of(pool, folder, profile));
  decoder.load(model::Checkpoint::open(folder));
  rates(decoder, 1, 8, 1);  // i14 quantises the weights once
  const double memory = memory_rate(pool);
  const Rates one = rates(decoder, 1, prompt, steps), eight = rates(decoder, 8, prompt, steps);
  std::printf(
      "{\"prefill\": %.2f, \"decode 1\": %.3f, \"decode 8\": %.3f, \"memory\": %.0f, \"threads\": %d}\n",
      one.prefill, one.decode, eight.decode, memory, threads);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2) fail(Fault::kUsage, "usage: bench-serve MODEL [threads [profile [prompt [steps]]]]");
    const char* name = argc > 3 ? argv[3] : "f32";
    const auto profile = kernels::profile_from_name(name);
    if (!profile) fail(Fault::kUsage, "no such profile: ", name);
    run(argv[1], argc > 2 ? std::atoi(argv[2]) : 1, *profile, argc > 4 ? std::atoi(argv[4]) : 128,
        argc > 5 ? std::atoi(argv[5]) : 32);
  } catch (const aftune::Error& e) {
    std::fprintf(stderr, "bench-serve: error: %s\n", e.what());
    return 2;
  }
}
