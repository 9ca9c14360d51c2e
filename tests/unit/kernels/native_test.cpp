#include "kernels/native.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

const std::vector<std::int64_t> kStarts = {0, 3, 3, 7};
constexpr std::int64_t kTokens = 7, kIn = 37, kOut = 21;

struct Products {
  Floats y, dx, dw;
};

/// All three products, by the native ones or, with `by`, by perturbed ones, added to what is there.
Products products(ThreadPool& pool, Perturbation* by = nullptr) {
  const Floats x = awkward(kTokens * kIn, 1), w = awkward(kOut * kIn, 2), dy = awkward(kTokens * kOut, 3);
  Products p{awkward(kTokens * kOut, 4), awkward(kTokens * kIn, 5), awkward(kOut * kIn, 6)};
  if (by == nullptr) {
    linear_native(pool, kTokens, kIn, kOut, x.data(), w.data(), p.y.data(), Into::kStore);
    linear_grad_input_native(pool, kTokens, kIn, kOut, dy.data(), w.data(), p.dx.data(), Into::kAdd);
    linear_grad_weight_native(pool, 3, kStarts.data(), kIn, kOut, dy.data(), x.data(), p.dw.data());
  } else {
    linear_perturbed(pool, *by, kTokens, kIn, kOut, x.data(), w.data(), p.y.data(), Into::kStore);
    linear_grad_input_perturbed(pool, *by, kTokens, kIn, kOut, dy.data(), w.data(), p.dx.data(), Into::kAdd);
    linear_grad_weight_perturbed(pool, *by, 3, kStarts.data(), kIn, kOut, dy.data(), x.data(), p.dw.data());
  }
  return p;
}

bool same(const Products& a, const Products& b) {
  return same_bits(a.y, b.y) && same_bits(a.dx, b.dx) && same_bits(a.dw, b.dw);
}

Floats rounded(ThreadPool& pool, Floats x) {
  round_bf16(pool, static_cast<std::int64_t>(x.size()), x.data(), x.data());
  return x;
}

TEST(Native, IsOnTheProcessorTheChainOverRoundedFactors) {
  ThreadPool pool(1);
  const Floats x = rounded(pool, awkward(kTokens * kIn, 1)), w = rounded(pool, awkward(kOut * kIn, 2)),
               dy = rounded(pool, awkward(kTokens * kOut, 3));
  Products expected{awkward(kTokens * kOut, 4), awkward(kTokens * kIn, 5), awkward(kOut * kIn, 6)};
  linear(pool, kTokens, kIn, kOut, x.data(), w.data(), expected.y.data());
  linear_grad_input(pool, kTokens, kIn, kOut, dy.data(), w.data(), expected.dx.data(), Into::kAdd);
  linear_grad_weight(pool, 3, kStarts.data(), kIn, kOut, dy.data(), x.data(), expected.dw.data());
  EXPECT_TRUE(same(products(pool), expected));
}

TEST(Native, NeedsADeviceToBeRecorded) {
  const ThreadPool pool(1);
  EXPECT_THROW(native_machine(pool), Error);
}

TEST(Perturbed, IsTheDefinitionWhileItIsNotActive) {
  ThreadPool pool(1);
  Perturbation by{.bound = 1};
  EXPECT_TRUE(same(products(pool), products(pool, &by)));
  EXPECT_EQ(by.product, 0u);
}

TEST(Perturbed, FollowsFromSeedAndProductAlone) {
  const auto run = [](int threads, std::uint64_t seed) {
    ThreadPool pool(threads);
    Perturbation by{.active = true, .bound = 2, .seed = seed};
    return products(pool, &by);
  };
  EXPECT_TRUE(same(run(1, 5), run(3, 5)));
  const Products a = run(1, 5), b = run(1, 6);
  EXPECT_FALSE(same_bits(a.y, b.y));
  EXPECT_FALSE(same_bits(a.dx, b.dx));
  EXPECT_FALSE(same_bits(a.dw, b.dw));
}

// Factors that bf16 holds are rounded by no one: what is left is the bound, to both sides or to one.
TEST(Perturbed, MovesEachResultByItsBound) {
  ThreadPool pool(2);
  const Floats x = rounded(pool, uniform(kTokens * kIn, 1)), w = rounded(pool, uniform(kOut * kIn, 2));
  Floats plain(kTokens * kOut);
  linear(pool, kTokens, kIn, kOut, x.data(), w.data(), plain.data());
  const auto left = native_norms(pool, kTokens, kIn, x.data(), false);
  const auto right = native_norms(pool, kOut, kIn, w.data(), false);
  constexpr double kBound = 1e4;  // far more than f32's own rounding
  using Lean = Perturbation::Lean;
  for (const Lean lean : {Lean::kRandom, Lean::kTowardsZero, Lean::kAwayFromZero}) {
    Perturbation by{.active = true, .bound = kBound, .lean = lean};
    Floats moved(plain.size());
    linear_perturbed(pool, by, kTokens, kIn, kOut, x.data(), w.data(), moved.data(), Into::kStore);
    EXPECT_EQ(by.product, 1u);
    std::size_t grown = 0;
    for (std::size_t i = 0; i < plain.size(); ++i) {
      const double expected = kBound * native_unit(kIn) * left[i / kOut] * right[i % kOut];
      const double by_sign = (double{moved[i]} - plain[i]) * (plain[i] < 0 ? -1 : 1);
      EXPECT_NEAR(std::fabs(by_sign), expected, expected * 1e-3);
      grown += by_sign > 0 ? 1 : 0;
    }
    const std::size_t all = plain.size();
    if (lean == Lean::kRandom)
      EXPECT_TRUE(grown > all / 3 && grown < all - all / 3) << grown;
    else
      EXPECT_EQ(grown, lean == Lean::kAwayFromZero ? all : 0u);
  }
}

TEST(Perturbed, NonFiniteFactorsStayThat) {
  ThreadPool pool(1);
  for (const float bad : {kNan, kInf, -kInf}) {
    Floats x = uniform(kTokens * kIn, 1), w = uniform(kOut * kIn, 2), y(kTokens * kOut);
    x[kIn] = bad;
    Perturbation by{.active = true, .bound = 1};
    linear_perturbed(pool, by, kTokens, kIn, kOut, x.data(), w.data(), y.data(), Into::kStore);
    EXPECT_FALSE(std::isfinite(y[kOut]));
    EXPECT_TRUE(std::isfinite(y[0]));
  }
}

}  // namespace
}  // namespace aftune::kernels
