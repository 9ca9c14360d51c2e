// The operations of images: every instruction set against what docs/numerics.md words, 1 = N threads, and
// values and gradients of PyTorch in float64 (tests/parity/make_image_op_fixtures.py).

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "kernels/cpu/rows.h"
#include "kernels/image_ops.h"
#include "kernels/ops.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

const std::vector<std::int64_t> kWidths = {1, 7, 8, 16, 17, 31, 32, 33, 100, 255, 256, 257, 1025};

Floats room(std::int64_t n) {
  return Floats(static_cast<std::size_t>(n), kNan);
}

TEST(Images, PatchesAreTheirPixels) {
  const ImageShape kShapes[] = {{1, 4, 2}, {3, 6, 3}, {2, 5, 1}, {3, 8, 8}, {4, 28, 14}};
  for (const ImageShape& s : kShapes) {
    constexpr std::int64_t kImages = 3;
    const Floats x = awkward(kImages * s.pixels(), 1);
    Floats expected = room(std::ssize(x));
    const std::int64_t side = s.size / s.patch;
    for (std::int64_t image = 0, at = 0; image < kImages; ++image)
      for (std::int64_t py = 0; py < side; ++py)
        for (std::int64_t px = 0; px < side; ++px)
          for (std::int64_t c = 0; c < s.channels; ++c)
            for (std::int64_t dy = 0; dy < s.patch; ++dy)
              for (std::int64_t dx = 0; dx < s.patch; ++dx)
                expected[static_cast<std::size_t>(at++)] = x[static_cast<std::size_t>(
                    ((image * s.channels + c) * s.size + py * s.patch + dy) * s.size + px * s.patch + dx)];
    for (const Isa isa : usable_isas()) {
      Floats y = room(std::ssize(x));
      row_table(isa).patches(s, 0, kImages * s.patches(), x.data(), y.data());
      EXPECT_TRUE(same_bits(y, expected)) << name(isa);
      Floats part = room(s.patch_width());
      row_table(isa).patches(s, s.patches(), s.patches() + 1, x.data(), part.data());
      EXPECT_TRUE(same_bits(
          part, Floats(expected.begin() + s.pixels(), expected.begin() + s.pixels() + s.patch_width())));
    }
    for (const int threads : {1, 3}) {
      ThreadPool pool(threads);
      Floats y = room(std::ssize(x));
      patches(pool, s, kImages, x.data(), y.data());
      EXPECT_TRUE(same_bits(y, expected)) << threads;
    }
  }
}

TEST(Images, LayerScale) {
  const std::int64_t starts[] = {0, 2, 2, 5}, n = 5;
  for (const std::int64_t h : kWidths) {
    const Floats x = awkward(n * h, 2), w = awkward(h, 3), dy = awkward(n * h, 4);
    Floats expected = room(n * h), expected_dw = w;
    for (std::int64_t i = 0; i < n * h; ++i)
      expected[static_cast<std::size_t>(i)] =
          x[static_cast<std::size_t>(i)] * w[static_cast<std::size_t>(i % h)];
    for (int r = 0; r < 3; ++r)
      for (std::int64_t c = 0; c < h; ++c) {
        float acc = 0;
        for (std::int64_t t = starts[r]; t < starts[r + 1]; ++t)
          acc =
              std::fma(dy[static_cast<std::size_t>(t * h + c)], x[static_cast<std::size_t>(t * h + c)], acc);
        expected_dw[static_cast<std::size_t>(c)] += acc + 0.0f;
      }
    for (const Isa isa : usable_isas()) {
      Floats y = room(n * h), dw = w;
      row_table(isa).layer_scale(n, h, x.data(), w.data(), y.data());
      for (int r = 0; r < 3; ++r)
        row_table(isa).layer_scale_grad_weight(h, starts[r + 1] - starts[r], h, x.data() + starts[r] * h,
                                               dy.data() + starts[r] * h, dw.data());
      EXPECT_TRUE(same_bits(y, expected)) << name(isa) << ' ' << h;
      EXPECT_TRUE(same_bits(dw, expected_dw)) << name(isa) << ' ' << h;
    }
    for (const int threads : {1, 3}) {
      ThreadPool pool(threads);
      Floats y = x, dw = w;
      layer_scale(pool, n, h, y.data(), w.data(), y.data());
      layer_scale_grad_weight(pool, 3, starts, h, x.data(), dy.data(), dw.data());
      EXPECT_TRUE(same_bits(y, expected)) << threads;
      EXPECT_TRUE(same_bits(dw, expected_dw)) << threads;
    }
  }
}

TEST(Images, ClassMean) {
  constexpr std::int64_t kImages = 2;
  for (const std::int64_t positions : {2, 5, 10})
    for (const std::int64_t h : kWidths) {
      const Floats x = awkward(kImages * positions * h, 5), dy = awkward(kImages * 2 * h, 6);
      Floats expected = room(std::ssize(dy)), expected_dx = room(std::ssize(x));
      const auto count = static_cast<float>(positions - 1);
      const auto at = [&](std::int64_t image, std::int64_t t, std::int64_t c) {
        return static_cast<std::size_t>((image * positions + t) * h + c);
      };
      for (std::int64_t i = 0; i < kImages; ++i)
        for (std::int64_t c = 0; c < h; ++c) {
          const auto first = static_cast<std::size_t>(i * 2 * h + c),
                     mean = first + static_cast<std::size_t>(h);
          float acc = 0;
          for (std::int64_t t = 1; t < positions; ++t) acc += x[at(i, t, c)];
          expected[first] = x[at(i, 0, c)];
          expected[mean] = acc / count;
          expected_dx[at(i, 0, c)] = dy[first];
          for (std::int64_t t = 1; t < positions; ++t) expected_dx[at(i, t, c)] = dy[mean] / count;
        }
      for (const Isa isa : usable_isas()) {
        Floats y = room(std::ssize(dy)), dx = room(std::ssize(x));
        for (std::int64_t i = 0; i < kImages; ++i)
          row_table(isa).class_mean(h, positions, h, x.data() + i * positions * h, y.data() + i * 2 * h);
        row_table(isa).class_mean_grad(0, kImages * positions, positions, h, dy.data(), dx.data());
        EXPECT_TRUE(same_bits(y, expected)) << name(isa) << ' ' << h;
        EXPECT_TRUE(same_bits(dx, expected_dx)) << name(isa) << ' ' << h;
      }
      for (const int threads : {1, 3}) {
        ThreadPool pool(threads);
        Floats y = room(std::ssize(dy)), dx = room(std::ssize(x));
        class_mean(pool, kImages, positions, h, x.data(), y.data());
        class_mean_grad(pool, kImages, positions, h, dy.data(), dx.data());
        EXPECT_TRUE(same_bits(y, expected)) << threads;
        EXPECT_TRUE(same_bits(dx, expected_dx)) << threads;
      }
    }
}

class TorchImages : public testing::Test {
 protected:
  void load(const char* op) {
    const fs::path path = fs::path(AFTUNE_TESTS_DIR) / "vectors" / "ops" / "images.json";
    json_ = parse_json(read_file(path, 1 << 20))[op];
  }
  Floats floats(const char* key) const { return json_[key].get<Floats>(); }
  std::int64_t number(const char* key) const { return json_[key].get<std::int64_t>(); }
  void expect(const char* key, const Floats& found) const {
    const auto expected = json_[key].get<std::vector<double>>();
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(static_cast<double>(found[i]), expected[i], 4e-6) << key << ' ' << i;
  }

  ThreadPool pool{2};

 private:
  Json json_;
};

// A convolution whose stride is its size: patches, then a product, of which the weight's gradient is by rows
// of patches.
TEST_F(TorchImages, PatchesAndAProductAreAConvolution) {
  load("convolution");
  const ImageShape shape{number("channels"), number("size"), number("patch")};
  const std::int64_t images = number("images"), out = number("out"), n = images * shape.patches();
  const Floats x = floats("x"), w = floats("w"), dy = floats("dy");
  const std::int64_t rows[] = {0, shape.patches(), n};
  Floats rows_of = room(std::ssize(x)), y = room(n * out), dw(w.size());
  patches(pool, shape, images, x.data(), rows_of.data());
  linear(pool, n, shape.patch_width(), out, rows_of.data(), w.data(), y.data());
  linear_grad_weight(pool, images, rows, shape.patch_width(), out, dy.data(), rows_of.data(), dw.data());
  expect("y", y);
  expect("dw", dw);
}

TEST_F(TorchImages, LayerScale) {
  load("layer_scale");
  const std::int64_t n = number("n"), h = number("h"), rows[] = {0, n};
  const Floats x = floats("x"), w = floats("w"), dy = floats("dy");
  Floats y = room(n * h), dx = y, dw(w.size());
  layer_scale(pool, n, h, x.data(), w.data(), y.data());
  layer_scale(pool, n, h, dy.data(), w.data(), dx.data());
  layer_scale_grad_weight(pool, 1, rows, h, x.data(), dy.data(), dw.data());
  expect("y", y);
  expect("dx", dx);
  expect("dw", dw);
}

TEST_F(TorchImages, ClassMean) {
  load("class_mean");
  const std::int64_t images = number("images"), positions = number("positions"), h = number("h");
  const Floats x = floats("x"), dy = floats("dy");
  Floats y = room(std::ssize(dy)), dx = room(std::ssize(x));
  class_mean(pool, images, positions, h, x.data(), y.data());
  class_mean_grad(pool, images, positions, h, dy.data(), dx.data());
  expect("y", y);
  expect("dx", dx);
}

TEST_F(TorchImages, AttentionToAllPositions) {
  load("attention_full");
  const AttentionShape shape{number("heads"), number("heads"), number("head_dim"), 0.40824829f, false};
  const std::int64_t length = number("length"), starts[] = {0, length, 2 * length};
  const Floats q = floats("q"), k = floats("k"), v = floats("v"), dy = floats("dy");
  Floats y = room(std::ssize(q)), max = room(2 * length * shape.heads), sum = max, dq = y, dk = y, dv = y;
  attention(pool, shape, 2, starts, q.data(), k.data(), v.data(), y.data(), max.data(), sum.data());
  attention_grad(pool, shape, 2, starts, q.data(), k.data(), v.data(), y.data(), max.data(), sum.data(),
                 dy.data(), dq.data(), dk.data(), dv.data());
  expect("y", y);
  expect("dq", dq);
  expect("dk", dk);
  expect("dv", dv);
}

}  // namespace
}  // namespace aftune::kernels
