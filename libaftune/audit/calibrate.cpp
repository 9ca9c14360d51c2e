#include "audit/calibrate.h"

#include <cmath>
#include <iterator>

#include "base/error.h"
#include "base/philox.h"
#include "base/progress.h"
#include "base/version.h"
#include "kernels/native.h"
#include "tensor/tensor.h"

namespace aftune::audit {
namespace {

struct Sizes {
  std::int64_t n, in, out;
};
// Around the tiles of the library's kernels, and long sums; the processor has to form them too.
constexpr Sizes kSizes[] = {{64, 64, 64},    {256, 512, 384}, {1024, 128, 96}, {33, 1000, 65},
                            {128, 2048, 96}, {64, 8192, 32},  {2048, 64, 64},  {7, 4096, 130},
                            {512, 96, 512},  {16, 32768, 24}};

/// Fills x with values of both signs whose magnitudes vary over some octaves, as activations' do; of every
/// second seed all are positive, so that sums grow and what adders cut off adds up.
void fill(Buffer& x, std::uint64_t seed, std::uint32_t which) {
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const PhiloxBlock w = philox({static_cast<std::uint32_t>(i), 0, which, 0x71000000}, seed);
    const float magnitude =
        std::ldexp(1.0f + static_cast<float>(w[0] >> 8) * 0x1p-24f, -static_cast<int>(w[1] % 8));
    x[i] = seed % 2 == 0 && (w[2] & 1u) != 0 ? -magnitude : magnitude;
  }
}

/// Distances of the device's product from the processor's.
class Measurement {
 public:
  Measurement(ThreadPool& device, ThreadPool& processor, const Sizes& sizes, std::uint64_t seed)
      : device_(device),
        processor_(processor),
        s_(sizes),
        seed_(seed),
        x_(s_.n * s_.in),
        w_(s_.out * s_.in),
        dy_(s_.n * s_.out) {
    fill(x_, seed, 1);
    fill(w_, seed, 2);
    fill(dy_, seed, 3);
  }

  BoundSample linear() {
    const auto product = [&](ThreadPool& pool, float* y) {
      kernels::linear_native(pool, s_.n, s_.in, s_.out, x_.data(), w_.data(), y, kernels::Into::kStore);
    };
    return sample("linear", s_.n, s_.out, s_.in, product, norms(s_.n, s_.in, x_, false),
                  norms(s_.out, s_.in, w_, false));
  }
  BoundSample grad_input() {
    const auto product = [&](ThreadPool& pool, float* dx) {
      kernels::linear_grad_input_native(pool, s_.n, s_.in, s_.out, dy_.data(), w_.data(), dx,
                                        kernels::Into::kStore);
    };
    return sample("grad-input", s_.n, s_.in, s_.out, product, norms(s_.n, s_.out, dy_, false),
                  norms(s_.in, s_.out, w_, true));
  }
  BoundSample grad_weight() {
    const std::int64_t starts[] = {0, s_.n};
    const auto product = [&](ThreadPool& pool, float* dw) {
      kernels::linear_grad_weight_native(pool, 1, starts, s_.in, s_.out, dy_.data(), x_.data(), dw);
    };
    return sample("grad-weight", s_.out, s_.in, s_.n, product, norms(s_.out, s_.n, dy_, true),
                  norms(s_.in, s_.n, x_, true));
  }

 private:
  std::vector<double> norms(std::int64_t n, std::int64_t depth, const Buffer& x, bool columns) {
    return kernels::native_norms(processor_, n, depth, x.data(), columns);
  }

  template <class Product>
  BoundSample sample(const char* name, std::int64_t rows, std::int64_t cols, std::int64_t depth,
                     const Product& product, const std::vector<double>& left,
                     const std::vector<double>& right) {
    Buffer theirs(rows * cols), ours(rows * cols);
    theirs.clear(device_);
    ours.clear(processor_);
    product(device_, theirs.data());
    product(processor_, ours.data());
    BoundSample sample{name, rows, cols, depth, seed_, 0};
    const double unit = kernels::native_unit(depth);
    for (std::int64_t i = 0; i < ours.size(); ++i) {
      const double distance =
          std::fabs(double{theirs[i]} - double{ours[i]}) /
          (unit * left[static_cast<std::size_t>(i / cols)] * right[static_cast<std::size_t>(i % cols)]);
      if (!(distance <= Bounds::kMost))
        fail(Fault::kDevice, "a ", name, " product of ", rows, " x ", cols, " over ", depth, " is off by ",
             distance, " units: no f32 sums are");
      sample.worst = std::max(sample.worst, distance);
    }
    return sample;
  }

  ThreadPool& device_;
  ThreadPool& processor_;
  const Sizes s_;
  const std::uint64_t seed_;
  Buffer x_, w_, dy_;
};

}  // namespace

Bounds calibrate(const CalibrateOptions& options) {
  ThreadPool device(1, options.accelerator), processor(std::max(1, options.threads));
  const kernels::NativeMachine machine = kernels::native_machine(device);
  Bounds bounds;
  bounds.machine = {machine.device, machine.capability, machine.library};
  bounds.software = std::string(kSoftware);
  bounds.created = options.created;
  constexpr std::uint64_t kSeeds = 2;  // of each shape
  Progress progress("calibrate", std::ssize(kSizes), options.quiet);
  std::uint64_t seed = options.seed;
  for (const Sizes& sizes : kSizes) {
    for (std::uint64_t i = 0; i < kSeeds; ++i) {
      if (interrupted()) fail(Fault::kSystem, "interrupted");
      Measurement measurement(device, processor, sizes, seed++);
      bounds.samples.push_back(measurement.linear());
      bounds.samples.push_back(measurement.grad_input());
      bounds.samples.push_back(measurement.grad_weight());
    }
    progress.update(std::ssize(bounds.samples) / 3 / static_cast<std::int64_t>(kSeeds));
  }
  bounds.bound = bound_of(bounds.samples);
  if (bounds.bound > Bounds::kMost)
    fail(Fault::kDevice, "the bound would be ", bounds.bound, " units: no f32 sums need that");
  return parse_bounds(to_text(bounds));
}

}  // namespace aftune::audit
