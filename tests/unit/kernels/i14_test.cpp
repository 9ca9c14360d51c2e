#include "kernels/i14.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "kernels/cpu/i14_factor.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

using Starts = std::vector<std::int64_t>;

// --- The definition, as plainly as it can be written.

struct PlainGroup {
  std::vector<std::int64_t> q;
  float scale = 0;

  std::int64_t squares() const { return std::inner_product(q.begin(), q.end(), q.begin(), std::int64_t{0}); }
};

PlainGroup plain_quantise(const Floats& x, int group) {
  PlainGroup out{std::vector<std::int64_t>(x.size(), 0), 0.0f};
  float most = 0;
  for (const float value : x) {
    if (!std::isfinite(value)) {
      out.scale = kNan;
      return out;
    }
    most = std::max(most, std::fabs(value));
  }
  if (most < 0x1p-100f) return out;
  float inverse = 8127.0f / most;
  const auto round_all = [&] {
    std::transform(x.begin(), x.end(), out.q.begin(), [&](float value) {
      const float scaled = value * inverse;
      return static_cast<std::int64_t>(std::nearbyintf(scaled));
    });
  };
  round_all();
  if (out.squares() > 2147483647) {
    const float h = std::ceil(std::sqrt(static_cast<float>(group))) + 1.0f;
    inverse = inverse * ((46340.0f - h) / std::sqrt(static_cast<float>(out.squares())));
    round_all();
  }
  out.scale = 1.0f / inverse;
  return out;
}

float element(const Operand& from, std::int64_t i, std::int64_t k) {
  return from.depth_outer ? from.data[k * from.stride + i] : from.data[i * from.stride + k];
}

PlainGroup plain_group(const Operand& from, std::int64_t i, std::int64_t start, std::int64_t end, int group) {
  Floats x;
  for (std::int64_t k = start; k < end; ++k) x.push_back(element(from, i, k));
  return plain_quantise(x, group);
}

float plain_step(const PlainGroup& a, const PlainGroup& b, float acc) {
  const std::int64_t dot = std::inner_product(a.q.begin(), a.q.end(), b.q.begin(), std::int64_t{0});
  EXPECT_LT(std::abs(dot), std::int64_t{1} << 31);
  return std::fma(static_cast<float>(dot), a.scale * b.scale, acc);
}

std::vector<Starts> group_bounds(const I14Product& product) {
  std::vector<Starts> chains;
  for (std::int64_t chain = 0; chain < product.chains; ++chain) {
    chains.emplace_back();
    const std::int64_t end = product.chain_starts[chain + 1];
    for (std::int64_t k = product.chain_starts[chain]; k < end; k += product.group)
      chains.back().push_back(k);
    chains.back().push_back(end);
  }
  return chains;
}

using PlainFactor = std::vector<std::vector<PlainGroup>>;  // [chain and group][index]

PlainFactor plain_factor(const I14Product& product, const Operand& from, std::int64_t extent) {
  PlainFactor out;
  for (const Starts& bounds : group_bounds(product))
    for (std::size_t g = 0; g + 1 < bounds.size(); ++g) {
      out.emplace_back();
      for (std::int64_t i = 0; i < extent; ++i)
        out.back().push_back(plain_group(from, i, bounds[g], bounds[g + 1], product.group));
    }
  return out;
}

void plain_product(const I14Product& product) {
  const PlainFactor left = plain_factor(product, product.left, product.rows);
  const PlainFactor right = plain_factor(product, product.right, product.cols);
  const std::vector<Starts> chains = group_bounds(product);
  for (std::int64_t i = 0; i < product.rows; ++i)
    for (std::int64_t j = 0; j < product.cols; ++j) {
      std::size_t g = 0;
      for (const Starts& bounds : chains) {
        float acc = 0.0f;
        for (std::size_t n = 1; n < bounds.size(); ++n, ++g)
          acc = plain_step(left[g][static_cast<std::size_t>(i)], right[g][static_cast<std::size_t>(j)], acc);
        float& c = product.c[i * product.cols + j];
        c = product.adds ? c + (acc + 0.0f) : acc + 0.0f;
      }
    }
}

// --- Cases.

struct Case {
  std::int64_t rows, cols;
  Starts chain_starts;
  bool left_depth_outer, right_depth_outer, adds;
  int group = 256;

  std::int64_t depth() const { return chain_starts.back(); }
};

using Fill = std::function<Floats(std::int64_t n, std::uint64_t seed)>;

Floats plain_numbers(std::int64_t n, std::uint64_t seed) {
  return awkward(n, seed);
}

struct Matrices {
  Floats left, right, c;

  Matrices(const Case& of, const Fill& fill)
      : left(fill(of.rows * of.depth(), 1)),
        right(fill(of.cols * of.depth(), 2)),
        c(awkward(of.rows * of.cols, 3)) {}

  I14Product product(const Case& of, Floats& into) const {
    I14Product product;
    product.rows = of.rows;
    product.cols = of.cols;
    product.left = {left.data(), of.left_depth_outer ? of.rows : of.depth(), of.left_depth_outer};
    product.right = {right.data(), of.right_depth_outer ? of.cols : of.depth(), of.right_depth_outer};
    product.chains = static_cast<std::int64_t>(of.chain_starts.size()) - 1;
    product.chain_starts = of.chain_starts.data();
    product.group = of.group;
    product.c = into.data();
    product.adds = of.adds;
    return product;
  }
};

Floats plain(const Case& of, const Fill& fill = plain_numbers) {
  const Matrices matrices(of, fill);
  Floats c = matrices.c;
  plain_product(matrices.product(of, c));
  return c;
}

Floats tiled(const Case& of, Isa isa, int threads, const Fill& fill = plain_numbers,
             std::int64_t packing_limit = std::int64_t{1} << 24) {
  const Matrices matrices(of, fill);
  Floats c = matrices.c;
  I14Product product = matrices.product(of, c);
  product.packing_limit = packing_limit;
  ThreadPool pool(threads);
  multiply_i14(pool, i14_table(isa), product);
  return c;
}

void expect_plain(const Case& of, const Fill& fill = plain_numbers) {
  const Floats expected = plain(of, fill);
  for (const Isa isa : usable_isas())
    EXPECT_TRUE(same_bits(expected, tiled(of, isa, 1, fill)))
        << name(isa) << ": " << of.rows << " x " << of.cols << " x " << of.depth() << ", "
        << of.chain_starts.size() - 1 << " chains, groups of " << of.group << ", " << of.left_depth_outer
        << of.right_depth_outer << of.adds;
}

constexpr int kGroups[] = {128, 256, 512, 1024};

// Register tiles are 4 x 4, 6 x 16 and 14 x 32.
const std::int64_t kEdges[] = {0, 1, 3, 4, 5, 6, 7, 13, 14, 15, 16, 17, 28, 29, 31, 32, 33, 65};

TEST(I14, EveryTileEdgeInEveryLayout) {
  int layout = 0;
  for (const std::int64_t rows : kEdges)
    for (const std::int64_t cols : kEdges)
      for (const std::int64_t depth : {0, 1, 3, 33}) {
        ++layout;
        expect_plain({rows, cols, {0, depth}, (layout & 1) != 0, (layout & 2) != 0, (layout & 4) != 0});
      }
}

TEST(I14, EveryLengthAroundVectorsAndGroups) {
  int layout = 0;
  for (const int group : kGroups)
    for (const std::int64_t edge : {16, 32, 64, 96, 128, 256, 512, 1024, 2048})
      for (const std::int64_t depth : {edge - 1, edge, edge + 1}) {
        ++layout;
        expect_plain({15, 33, {0, depth}, (layout & 1) != 0, (layout & 2) != 0, (layout & 4) != 0, group});
        expect_plain({6, 3, {0, depth}, (layout & 1) == 0, (layout & 2) == 0, (layout & 4) == 0, group});
      }
}

TEST(I14, ChainsEndWhereverTheyEnd) {
  const Starts kStarts[] = {{0, 1, 2, 3},           {0, 0, 5, 5, 9, 9},
                            {0, 512, 1024},         {0, 300, 512, 513},
                            {0, 1100, 1101},        {0, 511, 1023, 1600},
                            {0, 7, 20, 33, 40, 77}, {0, 0},
                            {0, 200, 900, 901},     {0, 1024, 1024, 2049, 2305, 2306}};
  for (const Starts& starts : kStarts)
    for (const int group : kGroups) {
      expect_plain({15, 34, starts, true, true, true, group});
      expect_plain({5, 7, starts, false, true, true, group});
    }
}

// A chain starts with the first offset, which need not be 0: micro-batches pass the middle of a list.
TEST(I14, OffsetsMayStartAnywhere) {
  const Case whole = {9, 35, {0, 40, 300, 650}, true, true, true};
  const Matrices matrices(whole, plain_numbers);
  for (const Isa isa : usable_isas()) {
    Floats expected = matrices.c, parts = matrices.c;
    ThreadPool pool(2);
    multiply_i14(pool, i14_table(isa), matrices.product(whole, expected));
    I14Product part = matrices.product(whole, parts);
    part.chains = 1;
    for (int chain = 0; chain < 3; ++chain, ++part.chain_starts) multiply_i14(pool, i14_table(isa), part);
    EXPECT_TRUE(same_bits(expected, parts)) << name(isa);
  }
}

TEST(I14, ThreadsAndBandsDecideNoBit) {
  const Case kCases[] = {{400, 300, {0, 40}, false, false, false},
                         {400, 140, {0, 1300}, true, true, true},
                         {190, 700, {0, 1200}, false, true, false, 128},
                         {190, 700, {0, 20, 45, 61}, true, true, true}};
  for (const Case& of : kCases) {
    const Floats expected = plain(of);
    for (const Isa isa : usable_isas())
      for (const int threads : thread_counts())
        for (const std::int64_t limit : {std::int64_t{1}, std::int64_t{1} << 24})
          EXPECT_TRUE(same_bits(expected, tiled(of, isa, threads, plain_numbers, limit)))
              << name(isa) << ", " << threads << " threads, limit " << limit;
  }
}

// Columns that hold a single 1 show every integer of the other factor by itself.
TEST(I14, EveryIntegerOfAGroupIsSeen) {
  for (const int group : kGroups)
    for (const bool depth_outer : {false, true}) {
      const Case of = {23, group, {0, group}, depth_outer, false, false, group};
      expect_plain(of, [&](std::int64_t n, std::uint64_t seed) {
        if (seed == 1) return uniform(n, 5, 3.0f);
        Floats unit(static_cast<std::size_t>(n));
        for (std::int64_t i = 0; i < group; ++i) unit[static_cast<std::size_t>(i * group + i)] = 1.0f;
        return unit;
      });
    }
}

// --- The proof that no sum leaves 32 bits, tried on groups that come as near as they can.

/// x such that x * inverse is as far above an integer's rounding edge as it can be, at any level.
Floats near_edges(int group, float level, std::uint64_t seed) {
  Floats x = uniform(group, seed, 0.02f);
  for (float& value : x)
    value = std::nextafterf(std::floor(8127.0f * (level + value)) + 0.5f, 1e9f) / 8127.0f;
  x[0] = 1.0f;
  return x;
}

TEST(I14, NormsAreBoundedAndDotsFit32Bits) {
  std::int64_t most = 0;
  for (const int group : kGroups)
    for (int variant = 0; variant < 400; ++variant) {
      const auto seed = static_cast<std::uint64_t>(variant);
      const float level = static_cast<float>(variant % 50 + 1) / 50;
      Floats x = variant < 200 ? near_edges(group, level, seed) : uniform(group, seed, level);
      if (variant % 7 == 0) std::fill(x.begin(), x.end(), level);
      for (std::size_t i = 0; i < x.size(); ++i)
        if ((i * 7 + seed) % 3 == 0) x[i] = -x[i];
      const PlainGroup quantised = plain_quantise(x, group);
      EXPECT_LE(quantised.squares(), 2147483647) << "groups of " << group << ", variant " << variant;
      for (const std::int64_t q : quantised.q) EXPECT_LE(std::abs(q), 8127);
      most = std::max(most, quantised.squares());
    }
  EXPECT_GT(most, 2140000000);  // else the groups above try nothing
}

TEST(I14, ParallelVectorsOfTheLargestNormAreExact) {
  for (const int group : kGroups)
    for (const int sign : {1, -1})
      expect_plain({15, 35, {0, 2 * group}, false, sign < 0, false, group},
                   [&](std::int64_t n, std::uint64_t seed) {
                     // Either all at the maximum, or a few at the maximum and as many as fill the norm.
                     Floats x(static_cast<std::size_t>(n));
                     for (std::size_t i = 0; i < x.size(); ++i)
                       x[i] = (i % 64 == 0 ? 1.0f : 0.36f) * (seed == 2 ? static_cast<float>(sign) : 1.0f);
                     return x;
                   });
}

// --- Values at the edges of the format.

TEST(I14, SmallAndLargeGroups) {
  const float kLevels[] = {0.0f,     0x1p-149f, 0x1p-126f, 0x1.fffffep-101f, 0x1p-100f,
                           0x1p-60f, 1.0f,      0x1p+60f,  0x1p+127f,        0x1.fffffep+127f};
  for (const float level : kLevels)
    for (const bool depth_outer : {false, true})
      expect_plain({15, 34, {0, 300}, depth_outer, depth_outer, false},
                   [&](std::int64_t n, std::uint64_t seed) {
                     Floats x = uniform(n, seed);
                     if (seed == 1)
                       for (float& value : x) value *= level;
                     return x;
                   });
}

TEST(I14, BelowTheLeastMagnitudeAllIsZero) {
  ThreadPool pool(1);
  const Floats least = {0x1p-100f, -0x1p-101f}, below = {0x1.fffffep-101f, 0x1.fffffep-101f},
               w = {1.0f, 1.0f};
  Floats y = {9.0f};
  linear_i14(pool, 1, 2, 1, below.data(), w.data(), y.data());
  EXPECT_TRUE(same_bits(y, {0.0f}));
  linear_i14(pool, 1, 2, 1, least.data(), w.data(), y.data());
  EXPECT_NEAR(y[0] / 0x1p-101f, 1.0f, 1e-3f);
}

TEST(I14, OneHugeEntryHidesTheOthersInItsGroupOnly) {
  Floats x(512, 1.0f), w(512, 1.0f), y(1);
  x[300] = 1e6f;  // 1e6 / 16254 > 1: ones of its group become 0
  w[300] = 0.0f;
  ThreadPool pool(1);
  linear_i14(pool, 1, 512, 1, x.data(), w.data(), y.data());
  EXPECT_NEAR(y[0], 256.0f, 0.05f);
}

TEST(I14, NanAndInfinityAreNotHidden) {
  const std::int64_t n = 16, in = 600, out = 36;
  for (const float bad : {kNan, -kNan, kInf, -kInf})
    for (const std::int64_t at : {0, 255, 256, 599})
      for (const bool depth_outer : {false, true}) {
        const std::int64_t row = 14;
        const auto fill = [&](std::int64_t count, std::uint64_t seed) {
          Floats x = uniform(count, seed);
          if (seed == 1) x[static_cast<std::size_t>(depth_outer ? at * n + row : row * in + at)] = bad;
          return x;
        };
        const Case of = {n, out, {0, in}, depth_outer, false, false};
        expect_plain(of, fill);
        for (const Isa isa : usable_isas()) {
          const Floats c = tiled(of, isa, 1, fill);
          for (std::int64_t i = 0; i < n * out; ++i)
            EXPECT_EQ(std::isnan(c[static_cast<std::size_t>(i)]), i / out == row) << name(isa);
        }
      }
}

TEST(I14, NoDepthStoresZeros) {
  ThreadPool pool(1);
  Floats y = {5.0f, -0.0f};
  linear_i14(pool, 1, 0, 2, nullptr, nullptr, y.data());
  EXPECT_TRUE(same_bits(y, {0.0f, 0.0f}));
}

TEST(I14, NegativeZeroBecomesZero) {
  // A product that underflows from below.
  const Floats x = {-0x1p-99f}, w = {0x1p-99f};
  ThreadPool pool(1);
  Floats y = {7.0f};
  linear_i14(pool, 1, 1, 1, x.data(), w.data(), y.data());
  EXPECT_TRUE(same_bits(y, {0.0f}));
}

// --- The interface.

TEST(I14, LinearAndItsGradientsAreTheProductsTheyAreSaidToBe) {
  constexpr std::int64_t n = 19, in = 337, out = 321;
  const Floats x = awkward(n * in, 1), w = awkward(out * in, 2), dy = awkward(n * out, 3);
  const Starts starts = {0, 4, 4, 19}, forward = {0, in}, backward = {0, out};
  ThreadPool pool(2);
  for (const int group : kGroups) {
    Floats y = uniform(n * out, 4), dx = uniform(n * in, 5), dw = uniform(out * in, 6);
    Floats plain_y = y, plain_dx = dx, plain_dw = dw;
    plain_product({n,
                   out,
                   {x.data(), in, false},
                   {w.data(), in, false},
                   1,
                   forward.data(),
                   group,
                   plain_y.data(),
                   true});
    linear_i14(pool, n, in, out, x.data(), w.data(), y.data(), Into::kAdd, group);
    EXPECT_TRUE(same_bits(plain_y, y));
    plain_product({n,
                   in,
                   {dy.data(), out, false},
                   {w.data(), in, true},
                   1,
                   backward.data(),
                   group,
                   plain_dx.data(),
                   false});
    linear_grad_input_i14(pool, n, in, out, dy.data(), w.data(), dx.data(), Into::kStore, group);
    EXPECT_TRUE(same_bits(plain_dx, dx));
    plain_product({out,
                   in,
                   {dy.data(), out, true},
                   {x.data(), in, true},
                   3,
                   starts.data(),
                   group,
                   plain_dw.data(),
                   true});
    linear_grad_weight_i14(pool, 3, starts.data(), in, out, dy.data(), x.data(), dw.data(), group);
    EXPECT_TRUE(same_bits(plain_dw, dw));
  }
}

TEST(I14, FactorsKeptAndReusedGiveTheSameBits) {
  constexpr std::int64_t n = 45, in = 530, out = 270;
  const Floats x = uniform(n * in, 1), w = uniform(out * in, 2), dy = uniform(n * out, 3);
  const Starts starts = {0, 20, 45};
  ThreadPool pool(3);
  Floats y(n * out), dx(n * in), dw = uniform(out * in, 4);
  Floats expected_y = y, expected_dx = dx, expected_dw = dw;
  linear_i14(pool, n, in, out, x.data(), w.data(), expected_y.data());
  linear_grad_input_i14(pool, n, in, out, dy.data(), w.data(), expected_dx.data(), Into::kStore);
  linear_grad_weight_i14(pool, 2, starts.data(), in, out, dy.data(), x.data(), expected_dw.data());

  I14Factor left, forward, backward, right;
  EXPECT_EQ(left.extent(), 0);
  // From the largest use to the smallest and back: what a factor held before must not show.
  forward.quantise_rows(pool, Side::kRight, out, in, w.data());
  backward.quantise_columns(pool, Side::kRight, in, out, w.data());
  for (int round = 0; round < 2; ++round) {
    left.quantise_rows(pool, Side::kLeft, n, in, x.data());
    EXPECT_EQ(left.extent(), n);
    multiply_i14(pool, left, forward, y.data(), Into::kStore);
    EXPECT_TRUE(same_bits(expected_y, y));
    left.quantise_rows(pool, Side::kLeft, n, out, dy.data());
    multiply_i14(pool, left, backward, dx.data(), Into::kStore);
    EXPECT_TRUE(same_bits(expected_dx, dx));
    dw = uniform(out * in, 4);
    left.quantise_columns(pool, Side::kLeft, out, 2, starts.data(), dy.data());
    right.quantise_columns(pool, Side::kRight, in, 2, starts.data(), x.data());
    I14Factor moved = std::move(right);
    multiply_i14(pool, left, moved, dw.data(), Into::kAdd);
    right = std::move(moved);
    EXPECT_TRUE(same_bits(expected_dw, dw));
  }
}

TEST(I14, OnlyFourGroupsAreAllowed) {
  for (const int group : kGroups) EXPECT_TRUE(is_i14_group(group));
  for (const std::int64_t group :
       {std::int64_t{-256}, std::int64_t{0}, std::int64_t{64}, std::int64_t{255}, std::int64_t{257},
        std::int64_t{2048}, (std::int64_t{1} << 32) + 256, -(std::int64_t{1} << 32) + 256})
    EXPECT_FALSE(is_i14_group(group)) << group;
}

// --- Accuracy against binary64, at a depth of 4096: the bounds are 1.3 times what a study found.

constexpr std::int64_t kDepth = 4096;

/// Standard normal, good to some digits: sums of twelve uniforms.
Floats normal(std::int64_t n, std::uint64_t seed) {
  Floats x(static_cast<std::size_t>(n), 0.0f);
  for (std::uint64_t part = 0; part < 12; ++part) {
    const Floats u = uniform(n, seed * 100 + part, 0.5f);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += u[i];
  }
  return x;
}

double relative_error(const Floats& x, const Floats& w, std::int64_t n, std::int64_t out, int group) {
  ThreadPool pool(2);
  Floats y(static_cast<std::size_t>(n * out));
  linear_i14(pool, n, kDepth, out, x.data(), w.data(), y.data(), Into::kStore, group);
  double error = 0, norm = 0;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < out; ++j) {
      double exact = 0;
      for (std::int64_t k = 0; k < kDepth; ++k)
        exact += double{x[static_cast<std::size_t>(i * kDepth + k)]} *
                 double{w[static_cast<std::size_t>(j * kDepth + k)]};
      const double off = double{y[static_cast<std::size_t>(i * out + j)]} - exact;
      error += off * off;
      norm += exact * exact;
    }
  return std::sqrt(error / norm);
}

/// x multiplied along the depth by factor(k).
Floats scaled_along_depth(Floats x, const std::function<float(std::int64_t)>& factor) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] *= factor(static_cast<std::int64_t>(i) % kDepth);
  return x;
}

class I14Accuracy : public ::testing::TestWithParam<std::size_t> {
 protected:
  static constexpr std::int64_t kRows = 48, kCols = 40;
  void expect_below(const double (&study)[4], const Floats& x, const Floats& w) const {
    const double error =
        relative_error(x, w, static_cast<std::int64_t>(x.size()) / kDepth, kCols, kGroups[GetParam()]);
    EXPECT_LT(error, 1.3 * study[GetParam()]);
    EXPECT_GT(error, study[GetParam()] / 3);  // else the inputs are not what the study took
  }
};

TEST_P(I14Accuracy, Gaussian) {
  expect_below({1.5e-4, 1.6e-4, 2.0e-4, 2.9e-4}, normal(kRows * kDepth, 1), normal(kCols * kDepth, 2));
}

TEST_P(I14Accuracy, AFewLargeChannels) {
  const Floats by = uniform(kDepth, 3, 25.0f);
  const auto factor = [&](std::int64_t k) {
    return k % 1024 == 700 ? 75.0f + by[static_cast<std::size_t>(k)] : 1.0f;
  };
  expect_below({3.9e-4, 5.5e-4, 7.8e-4, 1.1e-3}, scaled_along_depth(normal(kRows * kDepth, 1), factor),
               normal(kCols * kDepth, 2));
}

TEST_P(I14Accuracy, LognormalElements) {
  constexpr std::int64_t kMoreRows = 256;  // else a few elements decide the norm
  Floats x = normal(kMoreRows * kDepth, 7);
  const Floats sign = uniform(kMoreRows * kDepth, 50);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::copysign(std::exp(3.0f * x[i]), sign[i]);
  expect_below({2.0e-4, 2.7e-4, 3.8e-4, 5.2e-4}, x, normal(kCols * kDepth, 2));
}

TEST_P(I14Accuracy, TokensOfLognormalScale) {
  const Floats scale = normal(kDepth, 4);
  const auto factor = [&](std::int64_t k) { return std::exp(3.0f * scale[static_cast<std::size_t>(k)]); };
  expect_below({2.8e-4, 3.9e-4, 5.1e-4, 6.6e-4}, scaled_along_depth(normal(kRows * kDepth, 1), factor),
               normal(kCols * kDepth, 2));
}

INSTANTIATE_TEST_SUITE_P(Groups, I14Accuracy, ::testing::Range(std::size_t{0}, std::size(kGroups)),
                         [](const auto& param) { return std::to_string(kGroups[param.param]); });

}  // namespace
}  // namespace aftune::kernels
