#include "kernels/cpu/few_rows.h"

#include <gtest/gtest.h>

#include "kernels/cpu/products.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

/// Rows may lie further apart than they are long; what lies between must neither enter nor be touched.
struct Case {
  std::int64_t rows, cols, depth;
  bool adds;
  std::int64_t gap = 1;

  std::int64_t right_stride() const { return depth + gap; }
  std::int64_t c_stride() const { return cols + 2; }
};

struct Matrices {
  Floats left, right, c;

  explicit Matrices(const Case& of)
      : left(awkward(of.rows * of.depth, 1)),
        right(with_gaps(of.cols, of.depth, of.right_stride(), 2)),
        c(awkward(of.rows * of.c_stride(), 3)) {}

  /// The last row has no gap: a sanitizer sees whoever reads on.
  static Floats with_gaps(std::int64_t rows, std::int64_t length, std::int64_t stride, std::uint64_t seed) {
    Floats x = awkward(rows == 0 ? 0 : (rows - 1) * stride + length, seed);
    for (std::size_t i = 0; i < x.size(); ++i)
      if (static_cast<std::int64_t>(i) % stride >= length) x[i] = kNan;
    return x;
  }
};

Floats few(const Case& of, Isa isa, int threads) {
  Matrices m(of);
  ThreadPool pool(threads);
  multiply_few(pool, isa, m.left.data(),
               {of.rows, of.cols, of.depth, nullptr, m.right.data(), of.right_stride(), of.adds, m.c.data(),
                of.c_stride()});
  return m.c;
}

Floats plain(const Case& of) {
  Matrices m(of);
  for (std::int64_t r = 0; r < of.rows; ++r)
    for (std::int64_t j = 0; j < of.cols; ++j) {
      float acc = 0.0f;
      for (std::int64_t k = 0; k < of.depth; ++k)
        acc = std::fma(m.left[static_cast<std::size_t>(r * of.depth + k)],
                       m.right[static_cast<std::size_t>(j * of.right_stride() + k)], acc);
      float& c = m.c[static_cast<std::size_t>(r * of.c_stride() + j)];
      c = of.adds ? c + (acc + 0.0f) : acc + 0.0f;
    }
  return m.c;
}

TEST(FewRows, EveryEdge) {
  bool adds = false;
  for (std::int64_t rows = 0; rows <= kFewRows; ++rows)
    for (const std::int64_t cols : {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 70})
      for (const std::int64_t depth : {0, 1, 3, 4, 5, 15, 16, 17, 33, 64}) {
        adds = !adds;
        const Case of{rows, cols, depth, adds, (rows + cols) % 2};
        const Floats expected = plain(of);
        for (const Isa isa : usable_isas())
          ASSERT_TRUE(same_bits(expected, few(of, isa, 1)))
              << name(isa) << ": " << rows << " x " << cols << " x " << depth << ", " << adds;
      }
}

TEST(FewRows, ThreadsDecideNoBit) {
  for (const Case& of : {Case{1, 700, 530, false}, Case{8, 290, 1100, true, 0}, Case{3, 1001, 96, false}}) {
    const Floats expected = plain(of);
    for (const Isa isa : usable_isas())
      for (const int threads : thread_counts())
        EXPECT_TRUE(same_bits(expected, few(of, isa, threads))) << name(isa) << ", " << threads << " threads";
  }
}

// The two ways to multiply, of which `linear` takes the one or the other by the number of rows.
TEST(FewRows, IsTheProductOfPackedFactors) {
  for (const std::int64_t rows : {1, 3, 8})
    for (const std::int64_t depth : {100, 512, 1537}) {
      constexpr std::int64_t cols = 77;
      const Floats left = awkward(rows * depth, 1), right = awkward(cols * depth, 2);
      const std::int64_t chain[] = {0, depth};
      ThreadPool pool(2);
      for (const Isa isa : usable_isas()) {
        Floats packed(static_cast<std::size_t>(rows * cols), kNan), taken = packed;
        Product product;
        product.rows = rows;
        product.cols = cols;
        product.left = {left.data(), depth, false};
        product.right = {right.data(), depth, false};
        product.chains = 1;
        product.chain_starts = chain;
        product.c = packed.data();
        multiply(pool, product_table(isa), product);
        multiply_few(pool, isa, left.data(),
                     {rows, cols, depth, nullptr, right.data(), depth, false, taken.data(), cols});
        EXPECT_TRUE(same_bits(packed, taken)) << name(isa) << ", " << rows << " rows, depth " << depth;
      }
    }
}

}  // namespace
}  // namespace aftune::kernels
