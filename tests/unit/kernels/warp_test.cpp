// The bodies of the ops on CUDA's lanes, a warp of 32 emulated threads, against the CPU's lanes.

#include <gtest/gtest.h>

#include "unit/kernels/warp_emulator.h"
// After the names that it uses.
#include "kernels/bias.h"
#include "kernels/class_mean.h"
#include "kernels/cross_entropy.h"
#include "kernels/cuda/warp_lanes.cuh"
#include "kernels/dropout.h"
#include "kernels/embedding.h"
#include "kernels/gelu.h"
#include "kernels/layer_scale.h"
#include "kernels/layernorm.h"
#include "kernels/patches.h"
#include "kernels/rmsnorm.h"
#include "kernels/rope.h"
#include "kernels/rowsum.h"
#include "kernels/scaled.h"
#include "kernels/swiglu.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

using portable::CpuLanes;
using portable::WarpLanes;

const std::vector<std::int64_t> kFewLengths = {1, 31, 32, 33, 1023, 1024, 1025, 2100};

/// body(lanes, out) with either lanes leaves the same bits in out, which starts as `before`.
template <class Body>
void expect_same_lanes(const Floats& before, const Body& body) {
  Floats cpu = before, warp = before;
  body(CpuLanes{}, cpu.data());
  Warp().run([&] { body(WarpLanes{}, warp.data()); });
  EXPECT_TRUE(same_bits(cpu, warp)) << before.size();
}

TEST(Warp, Sums) {
  for (const std::int64_t n : kFewLengths) {
    const Floats x = awkward(n, 1);
    expect_same_lanes(Floats(2), [&](auto lanes, float* out) {
      const float sum = portable::RowSum{}.row(lanes, n, x.data());
      const float squares = portable::SumSquares{}.block(lanes, n, x.data());
      lanes.one(0, [&](std::int64_t) { out[0] = sum; });
      lanes.one(1, [&](std::int64_t) { out[1] = squares; });
    });
  }
}

TEST(Warp, RmsNorm) {
  for (const std::int64_t h : kFewLengths) {
    const Floats x = awkward(h, 2, 3), w = awkward(h, 3), dy = awkward(h, 4);
    const portable::RmsNorm op{h, 1e-6f};
    expect_same_lanes(Floats(x.size()), [&](auto lanes, float* y) { op.row(lanes, x.data(), w.data(), y); });
    for (const bool add : {false, true})
      expect_same_lanes(dy, [&](auto lanes, float* dx) {
        op.row_grad_input(lanes, x.data(), w.data(), 0.8f, dy.data(), dx, add);
      });
  }
}

TEST(Warp, LayerNorm) {
  for (const std::int64_t h : kFewLengths) {
    const Floats x = awkward(h, 17, 3), w = awkward(h, 18), dy = awkward(h, 19);
    const portable::LayerNorm op{h, 1e-6f};
    expect_same_lanes(Floats(x.size() + 2), [&](auto lanes, float* y) {
      const auto of = op.row(lanes, x.data(), w.data(), dy.data(), y);
      lanes.one(0, [&](std::int64_t) { y[h] = of.mean; });
      lanes.one(1, [&](std::int64_t) { y[h + 1] = of.inv; });
    });
    for (const bool add : {false, true})
      expect_same_lanes(dy, [&](auto lanes, float* dx) {
        op.row_grad_input(lanes, x.data(), w.data(), {0.2f, 0.8f}, dy.data(), dx, add);
      });
  }
}

TEST(Warp, ColumnChains) {
  const std::int64_t h = 45, length = 6, positions[] = {0, 2, 5};
  const Floats x = awkward(length * h, 5), dy = awkward(length * h, 6), inv = uniform(length, 7);
  expect_same_lanes(awkward(h, 8), [&](auto lanes, float* dw) {
    portable::RmsNorm{h, 0}.columns_grad_weight(lanes, h, length, x.data(), inv.data(), dy.data(), dw);
    portable::LayerNorm{h, 0}.columns_grad_weight(lanes, h, length, x.data(), dy.data(), inv.data(),
                                                  dy.data(), dw);
    portable::Embedding{h}.columns_grad(lanes, h, 3, positions, dy.data(), dw);
    portable::Bias{h}.columns_grad(lanes, h, length, dy.data(), dw);
    portable::Bias{h}.row(lanes, dy.data(), dw);
  });
}

TEST(Warp, Images) {
  const portable::Patches patches{{3, 14, 7}};
  const Floats image = awkward(3 * 14 * 14, 30);
  expect_same_lanes(Floats(3 * 7 * 7),
                    [&](auto lanes, float* out) { patches.row(lanes, 2, image.data(), out); });
  for (const std::int64_t h : {1, 31, 32, 45}) {
    const Floats x = awkward(5 * h, 31), dy = awkward(5 * h, 32);
    expect_same_lanes(awkward(3 * h, 33), [&](auto lanes, float* out) {
      portable::LayerScale{h}.columns_grad_weight(lanes, h, 5, x.data(), dy.data(), out);
      portable::LayerScale{h}.row(lanes, x.data(), dy.data(), out + h);
    });
    const portable::ClassMean mean{5, h};
    expect_same_lanes(Floats(static_cast<std::size_t>(4 * h)), [&](auto lanes, float* out) {
      mean.columns(lanes, h, x.data(), out);
      mean.row_grad(lanes, 0, dy.data(), out + 2 * h);
      mean.row_grad(lanes, 3, dy.data(), out + 3 * h);
    });
  }
}

TEST(Warp, ElementsAndRope) {
  for (const std::int64_t n : kFewLengths) {
    const Floats gate = awkward(n, 9, 40), up = awkward(n, 10), dy = awkward(n, 11);
    expect_same_lanes(Floats(3 * gate.size()), [&](auto lanes, float* out) {
      portable::SwiGlu{}.elements(lanes, n, gate.data(), up.data(), out);
      portable::SwiGlu{}.elements_grad(lanes, n, gate.data(), up.data(), dy.data(), out + n, out + 2 * n);
    });
    expect_same_lanes(Floats(4 * gate.size()), [&](auto lanes, float* out) {
      portable::gelu_elements<portable::Gelu>(lanes, n, gate.data(), out);
      portable::gelu_elements_grad<portable::Gelu>(lanes, n, gate.data(), dy.data(), out + n);
      portable::gelu_elements<portable::GeluTanh>(lanes, n, gate.data(), out + 2 * n);
      portable::gelu_elements_grad<portable::GeluTanh>(lanes, n, gate.data(), dy.data(), out + 3 * n);
    });
    expect_same_lanes(awkward(n, 15), [&](auto lanes, float* y) {
      portable::dropout_of({0.4, 8, 2, 3, 1}).row(lanes, n, 5, 6, y, y);
    });
    expect_same_lanes(awkward(n, 16), [&](auto lanes, float* y) {
      portable::Scaled{0.7f}.elements_added(lanes, n, up.data(), y);
      portable::Scaled{0.7f}.elements(lanes, n, y, y);
    });
    expect_same_lanes(awkward(4 * n, 12), [&](auto lanes, float* q) {
      portable::Rope{2, 2 * n, true}.row(lanes, up.data(), dy.data(), q);
    });
  }
}

TEST(Warp, CrossEntropy) {
  for (const std::int64_t vocab : kFewLengths)
    for (const bool grad : {false, true})
      for (const std::int64_t label : {std::int64_t{-100}, std::int64_t{0}, vocab - 1}) {
        Floats before = awkward(vocab, 13, 20);
        before.push_back(0);  // the loss
        const portable::CrossEntropy op{vocab, 0.3f, grad};
        expect_same_lanes(before, [&](auto lanes, float* logits) {
          const float loss = op.row(lanes, static_cast<std::int32_t>(label), logits);
          lanes.one(0, [&](std::int64_t) { logits[vocab] = loss; });
        });
      }
}

TEST(Warp, LargestShowsBadValuesFromAnyLane) {
  for (const float bad : {kNan, kInf, -kInf})
    for (std::int64_t at = 0; at < 70; at += 23) {
      Floats x = awkward(70, 14);
      x[static_cast<std::size_t>(at)] = bad;
      Floats largest(Warp::kThreads);
      Warp().run([&] {
        largest[Warp::this_lane] =
            WarpLanes{}.largest_finite(70, [&](std::int64_t i) { return x[static_cast<std::size_t>(i)]; });
      });
      for (const float value : largest) EXPECT_TRUE(std::isnan(value));
    }
}

}  // namespace
}  // namespace aftune::kernels
