// What each block takes of a recorded training step of the bench model: its stages, the hashing of the
// boundaries that they make, sums, optimizer, and once a step block the digests of its state.
//
// usage: bench-shares [threads [step blocks [vocabulary]]]
// Prints a JSON array: the share of each block, the median over the step blocks.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "base/error.h"
#include "bench_step.h"
#include "kernels/profile.h"
#include "optim/optimizer.h"
#include "train/engine.h"
#include "train/step_digests.h"

namespace {

using namespace aftune;
using namespace aftune::bench;

/// A clock for each block.
class Clocks {
 public:
  explicit Clocks(int blocks) : seconds_(static_cast<std::size_t>(blocks)) {}

  /// Runs the body on the block's time.
  template <class Body>
  auto charge(const model::LayerBlock& block, const Body& body) {
    const auto start = std::chrono::steady_clock::now();
    auto result = body();
    seconds_[static_cast<std::size_t>(block.index())] +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result;
  }

  /// Of the time since the last call.
  std::vector<double> shares() {
    const double all = std::accumulate(seconds_.begin(), seconds_.end(), 0.0);
    std::vector<double> shares;
    for (double& s : seconds_) shares.push_back(std::exchange(s, 0.0) / all);
    return shares;
  }

 private:
  std::vector<double> seconds_;
};

/// The calls of train::Engine::step and of its observer, each on the clock of one block.
class Steps {
 public:
  Steps(ThreadPool& pool, std::int64_t vocab)
      : engine_(bench_options(pool, vocab, *kernels::profile_from_name("i14"))),
        grid_(engine_.options().grid),
        rows_(full_rows(vocab)),
        digests_(grid_.boundaries(), false, pool),
        clocks_(grid_.blocks()) {
    for (const auto& block : engine_.blocks()) model::init_parameters(*block, engine_.options());
  }

  /// Share of each block of one step block.
  std::vector<double> shares() {
    for (std::int64_t i = 0; i < grid_.steps_per_block; ++i) step();
    for (const auto& block : engine_.blocks()) clocks_.charge(*block, [&] { return block->state(); });
    return clocks_.shares();
  }

 private:
  model::LayerBlock& block_of(int stage) {
    return *engine_.blocks()[static_cast<std::size_t>(grid_.block_of_stage(stage))];
  }

  void step() {
    digests_.reset();
    for (const auto& block : engine_.blocks())
      clocks_.charge(*block, [&] { return block->begin_step({t_, 1e-4, kTokens}), 0; });
    passes();
    std::vector<double> sums;
    for (const auto& block : engine_.blocks())
      for (const double sum : clocks_.charge(*block, [&] { return block->sum_squares(); }))
        sums.push_back(sum);
    const float clip = optim::clip_scale(engine_.options().recipe, optim::global_norm(sums));
    for (const auto& block : engine_.blocks()) clocks_.charge(*block, [&] { return block->update(clip), 0; });
    ++t_;
  }

  void passes() {
    const int last = grid_.stages() - 1;
    std::vector<std::unique_ptr<model::Saved>> saved;
    Matrix x;
    for (int stage = 0; stage <= last; ++stage)
      x = clocks_.charge(block_of(stage), [&] {
        model::StageOutput out = block_of(stage).forward(stage, rows_, stage == 0 ? nullptr : &x, true);
        saved.push_back(std::move(out.saved));
        if (stage < last) digests_.activation(stage, out.out);
        return std::move(out.out);
      });
    for (int stage = last; stage >= 0; --stage)
      x = clocks_.charge(block_of(stage), [&] {
        Matrix gradient = block_of(stage).backward(
            stage, rows_, std::move(saved[static_cast<std::size_t>(stage)]), stage == last ? nullptr : &x);
        if (stage > 0) digests_.gradient(stage - 1, gradient);
        return gradient;
      });
  }

  train::Engine engine_;
  const record::Grid& grid_;
  data::Rows rows_;
  train::StepDigests digests_;
  Clocks clocks_;
  std::int64_t t_ = 0;
};

void run(int threads, int step_blocks, std::int64_t vocab) {
  ThreadPool pool(threads);
  Steps steps(pool, vocab);
  steps.shares();  // maps the memory that later steps use again
  std::vector<std::vector<double>> seen;
  for (int i = 0; i < step_blocks; ++i) seen.push_back(steps.shares());
  for (std::size_t b = 0; b < seen[0].size(); ++b) {
    std::vector<double> of_block;
    for (const std::vector<double>& shares : seen) of_block.push_back(shares[b]);
    std::printf("%s%.4f", b == 0 ? "[" : ", ", median(of_block));
  }
  std::printf("]\n");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(argc > 1 ? std::atoi(argv[1]) : 2, argc > 2 ? std::atoi(argv[2]) : 1,
        argc > 3 ? std::atoi(argv[3]) : 4096);
  } catch (const aftune::Error& e) {
    std::fprintf(stderr, "bench-shares: error: %s\n", e.what());
    return 2;
  }
}
