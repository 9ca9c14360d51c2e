#include "kernels/cpu/products.h"

#include <gtest/gtest.h>

#include "kernels/i14.h"
#include "kernels/ops.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

using Starts = std::vector<std::int64_t>;

struct Case {
  std::int64_t rows, cols;
  Starts chain_starts;
  bool left_depth_outer, right_depth_outer, adds;

  std::int64_t depth() const { return chain_starts.back(); }
};

float element(const Operand& from, std::int64_t i, std::int64_t k) {
  return from.depth_outer ? from.data[k * from.stride + i] : from.data[i * from.stride + k];
}

/// The definition, as plainly as it can be written.
void plain_product(const Product& product) {
  for (std::int64_t i = 0; i < product.rows; ++i)
    for (std::int64_t j = 0; j < product.cols; ++j)
      for (std::int64_t chain = 0; chain < product.chains; ++chain) {
        float acc = 0.0f;
        for (std::int64_t k = product.chain_starts[chain]; k < product.chain_starts[chain + 1]; ++k)
          acc = std::fma(element(product.left, i, k), element(product.right, j, k), acc);
        float& c = product.c[i * product.cols + j];
        c = product.adds ? c + (acc + 0.0f) : acc + 0.0f;
      }
}

struct Matrices {
  Floats left, right, c;

  explicit Matrices(const Case& of)
      : left(awkward(of.rows * of.depth(), 1)),
        right(awkward(of.cols * of.depth(), 2)),
        c(awkward(of.rows * of.cols, 3)) {}

  Product product(const Case& of, Floats& into) const {
    Product product;
    product.rows = of.rows;
    product.cols = of.cols;
    product.left = {left.data(), of.left_depth_outer ? of.rows : of.depth(), of.left_depth_outer};
    product.right = {right.data(), of.right_depth_outer ? of.cols : of.depth(), of.right_depth_outer};
    product.chains = static_cast<std::int64_t>(of.chain_starts.size()) - 1;
    product.chain_starts = of.chain_starts.data();
    product.c = into.data();
    product.adds = of.adds;
    return product;
  }
};

Floats plain(const Case& of) {
  const Matrices matrices(of);
  Floats c = matrices.c;
  plain_product(matrices.product(of, c));
  return c;
}

Floats tiled(const Case& of, Isa isa, int threads, std::int64_t packing_limit = std::int64_t{1} << 24) {
  const Matrices matrices(of);
  Floats c = matrices.c;
  Product product = matrices.product(of, c);
  product.packing_limit = packing_limit;
  ThreadPool pool(threads);
  multiply(pool, product_table(isa), product);
  return c;
}

void expect_plain(const Case& of) {
  const Floats expected = plain(of);
  for (const Isa isa : usable_isas())
    EXPECT_TRUE(same_bits(expected, tiled(of, isa, 1)))
        << name(isa) << ": " << of.rows << " x " << of.cols << " x " << of.depth() << ", "
        << of.chain_starts.size() - 1 << " chains, " << of.left_depth_outer << of.right_depth_outer
        << of.adds;
}

// Register tiles are 4 x 4, 6 x 16 and 14 x 32.
const std::int64_t kEdges[] = {0, 1, 3, 4, 5, 6, 7, 13, 14, 15, 16, 17, 28, 29, 31, 32, 33};

TEST(Products, EveryTileEdgeInEveryLayout) {
  int layout = 0;
  for (const std::int64_t rows : kEdges)
    for (const std::int64_t cols : kEdges)
      for (const std::int64_t depth : {0, 1, 3, 5, 33}) {
        ++layout;
        expect_plain({rows, cols, {0, depth}, (layout & 1) != 0, (layout & 2) != 0, (layout & 4) != 0});
      }
}

TEST(Products, LongChainsCrossDepthBlocks) {
  for (const std::int64_t depth : {31, 32, 511, 512, 513, 1023, 1024, 1025, 1537})
    for (const bool adds : {false, true})
      for (const std::int64_t cols : {5, 129}) expect_plain({17, cols, {0, depth}, adds, !adds, adds});
}

TEST(Products, ChainsEndWhereverTheyEnd) {
  const Starts kStarts[] = {
      {0, 1, 2, 3},         {0, 0, 5, 5, 9, 9},     {0, 512, 1024}, {0, 300, 512, 513}, {0, 1100, 1101},
      {0, 511, 1023, 1600}, {0, 7, 20, 33, 40, 77}, {0, 0},         {0, 200, 900, 901}};
  for (const Starts& starts : kStarts) {
    expect_plain({15, 40, starts, true, true, true});
    expect_plain({33, 64, starts, false, false, true});
  }
}

TEST(Products, ThreadsAndBandsDecideNoBit) {
  const Case kCases[] = {{400, 300, {0, 40}, false, false, false},
                         {400, 140, {0, 600}, true, true, true},
                         {190, 700, {0, 20, 45, 61}, true, true, true}};
  for (const Case& of : kCases) {
    const Floats expected = plain(of);
    for (const Isa isa : usable_isas())
      for (const int threads : thread_counts())
        for (const std::int64_t limit : {std::int64_t{1}, std::int64_t{1} << 24})
          EXPECT_TRUE(same_bits(expected, tiled(of, isa, threads, limit)))
              << name(isa) << ", " << threads << " threads, limit " << limit;
  }
}

TEST(Products, NegativeZeroBecomesZero) {
  // fma(-tiny, tiny, +0) is -0.
  const Floats x = {-1e-30f}, w = {1e-30f};
  ThreadPool pool(1);
  Floats y = {7.0f};
  linear(pool, 1, 1, 1, x.data(), w.data(), y.data());
  EXPECT_TRUE(same_bits(y, {0.0f}));
  y = {-0.0f};
  linear(pool, 1, 1, 1, x.data(), w.data(), y.data(), Into::kAdd);
  EXPECT_TRUE(same_bits(y, {0.0f}));
}

TEST(Products, SubnormalsAreKept) {
  const Floats x = {0x1p-100f, 0x1p-149f}, w = {0x1p-49f, 0x1p-1f};
  ThreadPool pool(1);
  Floats y(1);
  linear(pool, 1, 2, 1, x.data(), w.data(), y.data());
  EXPECT_TRUE(same_bits(y, {0x1p-148f}));  // 1.5 * 2^-149, a tie, to even
}

TEST(Products, NoDepthStoresZeros) {
  ThreadPool pool(1);
  Floats y = {5.0f, -0.0f};
  linear(pool, 1, 0, 2, nullptr, nullptr, y.data());
  EXPECT_TRUE(same_bits(y, {0.0f, 0.0f}));
}

TEST(Products, InfinityAndNanPassThrough) {
  ThreadPool pool(1);
  const Floats x = {kInf, 0.0f, kNan, 1.0f}, w = {1.0f, 1.0f, 0.0f, 2.0f};
  Floats y(4);
  linear(pool, 2, 2, 2, x.data(), w.data(), y.data());
  EXPECT_TRUE(same_bits(y, {kInf, kNan, kNan, kNan}));
}

TEST(Products, LinearAndItsGradientsAreTheProductsTheyAreSaidToBe) {
  constexpr std::int64_t n = 19, in = 37, out = 21;
  const Floats x = awkward(n * in, 1), w = awkward(out * in, 2), dy = awkward(n * out, 3);
  const Starts starts = {0, 4, 4, 19}, forward = {0, in}, backward = {0, out};
  ThreadPool pool(2);
  Floats y = uniform(n * out, 4), dx = uniform(n * in, 5), dw = uniform(out * in, 6);
  Floats plain_y = y, plain_dx = dx, plain_dw = dw;
  plain_product(
      {n, out, {x.data(), in, false}, {w.data(), in, false}, 1, forward.data(), plain_y.data(), true});
  linear(pool, n, in, out, x.data(), w.data(), y.data(), Into::kAdd);
  EXPECT_TRUE(same_bits(plain_y, y));
  plain_product(
      {n, in, {dy.data(), out, false}, {w.data(), in, true}, 1, backward.data(), plain_dx.data(), false});
  linear_grad_input(pool, n, in, out, dy.data(), w.data(), dx.data(), Into::kStore);
  EXPECT_TRUE(same_bits(plain_dx, dx));
  plain_product(
      {out, in, {dy.data(), out, true}, {x.data(), in, true}, 3, starts.data(), plain_dw.data(), true});
  linear_grad_weight(pool, 3, starts.data(), in, out, dy.data(), x.data(), dw.data());
  EXPECT_TRUE(same_bits(plain_dw, dw));
}

TEST(Products, GradWeightInMicroBatchesIsGradWeightAtOnce) {
  constexpr std::int64_t in = 33, out = 30, rows = 6;
  const Starts starts = {0, 3, 40, 41, 580, 1200, 1210};
  const Floats dy = uniform(starts.back() * out, 1), x = uniform(starts.back() * in, 2);
  ThreadPool pool(2);
  const Floats initial = uniform(out * in, 3);
  for (const Profile profile : {Profile{}, Profile{kDefaultI14Group}}) {
    Floats whole = initial;
    linear_grad_weight(pool, profile, rows, starts.data(), in, out, dy.data(), x.data(), whole.data());
    for (const std::int64_t micro_batch : {1, 2, 4}) {
      Floats parts = initial;
      for (std::int64_t row = 0; row < rows; row += micro_batch)
        linear_grad_weight(pool, profile, std::min(micro_batch, rows - row), starts.data() + row, in, out,
                           dy.data(), x.data(), parts.data());
      EXPECT_TRUE(same_bits(whole, parts)) << name(profile) << ", " << micro_batch << " rows a micro-batch";
    }
  }
}

}  // namespace
}  // namespace aftune::kernels
