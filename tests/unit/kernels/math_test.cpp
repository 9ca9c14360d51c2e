#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/rows.h"
#include "kernels/ops.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

using Function = void (*)(std::int64_t, const float*, float*);

/// Runs body(x) over every stride-th of all 2^32 bit patterns, a block at a time.
template <class Body>
void sample_all_floats(std::uint64_t stride, const Body& body) {
  Floats x;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += stride) {
    x.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    if (x.size() == 4096) {
      body(x);
      x.clear();
    }
  }
  body(x);
}

Floats apply(Function function, const Floats& x) {
  Floats y(x.size());
  function(static_cast<std::int64_t>(x.size()), x.data(), y.data());
  return y;
}

/// |y - exact| in units of the last place of a binary32 number of exact's size.
double ulps(float y, double exact) {
  if (std::isnan(exact)) return std::isnan(y) ? 0 : kInf;
  if (std::isinf(static_cast<float>(exact)) || std::isinf(y))
    return static_cast<float>(exact) == y ? 0 : kInf;
  const int exponent = std::max(std::ilogb(exact), -126);
  return std::abs(static_cast<double>(y) - exact) / std::ldexp(1.0, exponent - 23);
}

double worst_ulps(Function function, double (*exact)(double), std::uint64_t stride) {
  double worst = 0;
  sample_all_floats(stride, [&](const Floats& x) {
    const Floats y = apply(function, x);
    for (std::size_t i = 0; i < x.size(); ++i)
      worst = std::max(worst, ulps(y[i], x[i] == 0 ? exact(0.0) : exact(static_cast<double>(x[i]))));
  });
  return worst;
}

const RowTable& best() {
  return row_table(active_isa());
}

TEST(Math32, ExpAndLogAreWithinAnUlp) {
  EXPECT_LE(worst_ulps(
                best().exp32, [](double x) { return std::exp(x); }, 1021),
            1.02);
  EXPECT_LE(worst_ulps(
                best().log32, [](double x) { return std::log(x); }, 1021),
            0.82);
  EXPECT_LE(worst_ulps(
                best().erf32, [](double x) { return std::erf(x); }, 1021),
            1.13);
}

// Of gelu the error is bounded by |x|: beside it a small value in the tail is none that adds up to anything.
TEST(Math32, GeluIsWithinTwoRoundingsOfItsInput) {
  const auto tanh_form = [](double x) {
    return x / (1 + std::exp(-2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x)));
  };
  double erf_worst = 0, tanh_worst = 0;
  sample_all_floats(1021, [&](const Floats& x) {
    Floats by_erf(x.size()), by_tanh(x.size());
    best().gelu(GeluForm::kErf, std::ssize(x), x.data(), by_erf.data());
    best().gelu(GeluForm::kTanh, std::ssize(x), x.data(), by_tanh.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto at = static_cast<double>(x[i]), size = std::abs(at);
      if (!(size > 0x1p-100) || !(size < 100)) continue;
      const double exact = 0.5 * at * std::erfc(-at / std::sqrt(2.0));
      erf_worst = std::max(erf_worst, std::abs(static_cast<double>(by_erf[i]) - exact) / size);
      tanh_worst = std::max(tanh_worst, std::abs(static_cast<double>(by_tanh[i]) - tanh_form(at)) / size);
    }
  });
  EXPECT_LE(erf_worst, 2.1 * 0x1p-24);
  EXPECT_LE(tanh_worst, 2.3 * 0x1p-24);
}

TEST(Math32, SpecialValues) {
  const Floats x = {0.0f, -0.0f, 1.0f, kInf, -kInf, kNan, -1.0f, 89.0f, -104.0f, 0x1p-149f};
  const Floats e = apply(best().exp32, x);
  EXPECT_TRUE(same_bits({e.begin(), e.begin() + 2}, {1.0f, 1.0f}));
  EXPECT_EQ(e[3], kInf);
  EXPECT_TRUE(same_bits({e[4]}, {0.0f}));
  EXPECT_TRUE(std::isnan(e[5]));
  EXPECT_EQ(e[7], kInf);
  EXPECT_EQ(e[8], 0.0f);
  const Floats l = apply(best().log32, x);
  EXPECT_EQ(l[0], -kInf);
  EXPECT_EQ(l[1], -kInf);
  EXPECT_TRUE(same_bits({l[2]}, {0.0f}));
  EXPECT_EQ(l[3], kInf);
  EXPECT_TRUE(std::isnan(l[4]) && std::isnan(l[5]) && std::isnan(l[6]));
  EXPECT_NEAR(l[9], -103.27893f, 1e-5f);
  const Floats r = apply(best().erf32, x);
  EXPECT_TRUE(same_bits({r[0], r[1], r[3], r[4]}, {0.0f, -0.0f, 1.0f, -1.0f}));
  EXPECT_TRUE(std::isnan(r[5]));
  EXPECT_TRUE(same_bits({r[2]}, {-r[6]}));
}

TEST(Math32, InstructionSetsAgreeOnASampleOfAllInputs) {
  for (const Isa isa : usable_isas()) {
    const RowTable& table = row_table(isa);
    sample_all_floats(isa == Isa::kScalar ? 1021 : 257, [&](const Floats& x) {
      ASSERT_TRUE(same_bits(apply(table.exp32, x), apply(best().exp32, x))) << name(isa);
      ASSERT_TRUE(same_bits(apply(table.log32, x), apply(best().log32, x))) << name(isa);
      ASSERT_TRUE(same_bits(apply(table.erf32, x), apply(best().erf32, x))) << name(isa);
    });
  }
}

/// Error in ulps of binary64 against long double, which has 11 more bits.
double ulps(double y, long double exact) {
  const int exponent = std::max(std::ilogb(exact), -1022);
  return static_cast<double>(std::abs(static_cast<long double>(y) - exact) / std::ldexp(1.0L, exponent - 52));
}

double random_in(double low, double high, std::uint32_t i) {
  const PhiloxBlock words = philox({i, 5, 0, 0}, 9);
  const auto u = static_cast<double>((std::uint64_t{words[0]} << 32 | words[1]) >> 11) * 0x1p-53;
  return low + (high - low) * u;
}

constexpr std::uint32_t kCount = 50000;

TEST(Math64, ExpAndLogAreWithinTwoUlps) {
  double exp_worst = 0, log_worst = 0;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const double x = random_in(-745, 709, i);
    exp_worst = std::max(exp_worst, ulps(exp64(x), std::exp(static_cast<long double>(x))));
    const double y = i % 2 == 0 ? std::exp(x) : random_in(0.5, 2, i);
    if (y > 0) log_worst = std::max(log_worst, ulps(log64(y), std::log(static_cast<long double>(y))));
  }
  EXPECT_LE(exp_worst, 1.0);
  EXPECT_LE(log_worst, 0.6);
}

TEST(Math64, PowIsWithinTwoUlps) {
  double worst = 0;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const double x = i % 3 == 0   ? random_in(0, 1, i)
                     : i % 3 == 1 ? random_in(0.9, 1.1, i)
                                  : random_in(1, 1e6, i);
    const double y = random_in(-700, 700, i + kCount) / std::max(1e-3, std::abs(std::log(x)));
    const long double exact = std::pow(static_cast<long double>(x), static_cast<long double>(y));
    worst = std::max(worst, ulps(pow64(x, y), exact));
  }
  EXPECT_LE(worst, 1.5);
}

TEST(Math64, SinAndCosAreWithinTwoUlps) {
  double worst = 0;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    const double range[] = {1.0, 10.0, 1e3, 1e6, 0x1p30};
    // Angles are binary32 numbers in the tables; other doubles are no harder.
    const double wide = random_in(-range[i % 5], range[i % 5], i);
    const double x = i % 2 == 0 ? wide : static_cast<double>(static_cast<float>(wide));
    worst = std::max(worst, ulps(sin64(x), std::sin(static_cast<long double>(x))));
    worst = std::max(worst, ulps(cos64(x), std::cos(static_cast<long double>(x))));
  }
  EXPECT_LE(worst, 1.0);
}

TEST(Math64, SinNearMultiplesOfPi) {
  for (int k = 1; k < 100000; k += 37) {
    const double x = k * 3.14159265358979323846;
    EXPECT_LE(ulps(sin64(x), std::sin(static_cast<long double>(x))), 1.0) << k;
    const double half = (k + 0.5) * 3.14159265358979323846;
    EXPECT_LE(ulps(cos64(half), std::cos(static_cast<long double>(half))), 1.0) << k;
  }
}

TEST(Math64, SpecialValues) {
  const double inf = std::numeric_limits<double>::infinity();
  EXPECT_EQ(exp64(0.0), 1.0);
  EXPECT_EQ(exp64(-inf), 0.0);
  EXPECT_EQ(exp64(1000.0), inf);
  EXPECT_TRUE(std::isnan(exp64(std::nan(""))));
  EXPECT_EQ(log64(1.0), 0.0);
  EXPECT_EQ(log64(0.0), -inf);
  EXPECT_EQ(log64(inf), inf);
  EXPECT_TRUE(std::isnan(log64(-1.0)));
  EXPECT_EQ(pow64(0.9, 0.0), 1.0);
  EXPECT_EQ(pow64(2.0, 10.0), 1024.0);
  EXPECT_EQ(pow64(2.0, 5000.0), inf);
  EXPECT_EQ(pow64(2.0, -5000.0), 0.0);
  EXPECT_EQ(pow64(2.0, -1074.0), 0x1p-1074);
  EXPECT_EQ(sin64(0.0), 0.0);
  EXPECT_EQ(cos64(0.0), 1.0);
}

}  // namespace
}  // namespace aftune::kernels
