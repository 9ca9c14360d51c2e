#include <gtest/gtest.h>

#include <cmath>
#include <utility>

#include "kernels/cpu/rows.h"
#include "kernels/ops.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

/// As the optimizer makes them: in binary64, rounded once.
AdamW adamw_scalars(int step, double lr, double decay = 0, float clip = 1.0f) {
  const double beta1 = 0.9, beta2 = 0.999;
  AdamW scalars;
  scalars.beta1 = static_cast<float>(beta1);
  scalars.beta2 = static_cast<float>(beta2);
  scalars.one_minus_beta1 = static_cast<float>(1 - beta1);
  scalars.one_minus_beta2 = static_cast<float>(1 - beta2);
  scalars.step_size = static_cast<float>(lr / (1 - pow64(beta1, step)));
  scalars.bias2_sqrt = static_cast<float>(std::sqrt(1 - pow64(beta2, step)));
  scalars.eps = 1e-8f;
  scalars.decay = static_cast<float>(1 - lr * decay);
  scalars.clip = clip;
  return scalars;
}

TEST(AdamW, ThreeKnownSteps) {
  // p = 1, gradients 0.5, -0.25, 0.1, PyTorch's defaults; the values of a computation in binary64.
  const double exact[] = {0.99899000002, 0.9987136730870784, 0.9983884423935262};
  const float gradients[] = {0.5f, -0.25f, 0.1f};
  ThreadPool pool(1);
  float p = 1, m = 0, v = 0;
  for (int step = 1; step <= 3; ++step) {
    ASSERT_TRUE(adamw(pool, adamw_scalars(step, 1e-3, 1e-2), 1, &p, &m, &v, &gradients[step - 1]));
    EXPECT_NEAR(p, exact[step - 1], 1.2e-7) << step;
  }
}

struct State {
  Floats p, m, v, g;
  explicit State(std::int64_t n)
      : p(awkward(n, 31)), m(awkward(n, 32)), v(awkward(n, 33)), g(awkward(n, 34)) {
    for (float& value : v) value = std::abs(value);
  }
};

TEST(AdamW, InstructionSetsFollowTheStatedRoundings) {
  const AdamW op = adamw_scalars(7, 3e-3, 0.1, 0.37f);
  for (const Isa isa : usable_isas())
    for (const std::int64_t n : kLengths) {
      State s(n), e(n);
      EXPECT_TRUE(row_table(isa).adamw(op, n, s.p.data(), s.m.data(), s.v.data(), s.g.data()));
      for (std::size_t i = 0; i < e.p.size(); ++i) {
        const float g = e.g[i] * op.clip;
        e.m[i] = std::fma(op.one_minus_beta1, g - e.m[i], e.m[i]);
        const float scaled = op.one_minus_beta2 * g;
        e.v[i] = std::fma(scaled, g, e.v[i] * op.beta2);
        const float denominator = std::sqrt(e.v[i]) / op.bias2_sqrt + op.eps;
        const float decayed = e.p[i] * op.decay;
        e.p[i] = decayed - (op.step_size * e.m[i]) / denominator;
      }
      EXPECT_TRUE(same_bits(s.p, e.p) && same_bits(s.m, e.m) && same_bits(s.v, e.v)) << name(isa) << ' ' << n;
    }
}

TEST(AdamW, ReportsNonFiniteNewValues) {
  const AdamW op = adamw_scalars(2, 1e-3);
  for (const Isa isa : usable_isas())
    for (const std::int64_t n : {1, 17, 1000})
      for (const float bad :
           {kNan, kInf, -kInf, 1e30f}) {  // 1e30 overflows in its square only: v, not p, shows it
        State s(n);
        s.g[static_cast<std::size_t>(n / 2)] = bad;
        EXPECT_FALSE(row_table(isa).adamw(op, n, s.p.data(), s.m.data(), s.v.data(), s.g.data())) << bad;
      }
}

TEST(Sgd, InstructionSetsFollowTheStatedRoundings) {
  for (const Isa isa : usable_isas())
    for (const bool first : {true, false})
      for (const std::int64_t n : kLengths) {
        const Sgd op{0.1f, 0.9f, 0.01f, 0.5f, first};
        State s(n), e(n);
        Floats plain = s.p, expected_plain = s.p;
        EXPECT_TRUE(row_table(isa).sgd(op, n, s.p.data(), s.m.data(), s.g.data()));
        EXPECT_TRUE(row_table(isa).sgd(op, n, plain.data(), nullptr, s.g.data()));
        for (std::size_t i = 0; i < e.p.size(); ++i) {
          const float g = std::fma(op.decay, e.p[i], e.g[i] * op.clip);
          const float kept = e.m[i] * op.momentum;
          e.m[i] = first ? g : kept + g;
          expected_plain[i] = std::fma(-op.lr, g, e.p[i]);
          e.p[i] = std::fma(-op.lr, e.m[i], e.p[i]);
        }
        EXPECT_TRUE(same_bits(s.p, e.p) && same_bits(s.m, e.m)) << name(isa) << ' ' << n;
        EXPECT_TRUE(same_bits(plain, expected_plain)) << name(isa) << ' ' << n;
      }
}

TEST(Sgd, ReportsNonFiniteNewValues) {
  ThreadPool pool(1);
  for (const float bad : {kNan, kInf, -kInf}) {
    State s(100);
    s.g[99] = bad;
    EXPECT_FALSE(sgd(pool, {0.1f, 0.9f, 0, 1, false}, 100, s.p.data(), s.m.data(), s.g.data()));
    EXPECT_FALSE(sgd(pool, {0.1f, 0, 0, 1, false}, 100, s.p.data(), nullptr, s.g.data()));
  }
}

TEST(Optimizers, OneNonFiniteValueIsSeenInAnyChunk) {
  const std::int64_t n = 300000;
  ThreadPool pool(3);
  for (const std::int64_t at : {std::int64_t{0}, n / 2, n - 1}) {
    State s(n);
    s.g[static_cast<std::size_t>(at)] = kNan;
    EXPECT_FALSE(adamw(pool, adamw_scalars(1, 1e-3), n, s.p.data(), s.m.data(), s.v.data(), s.g.data()));
    EXPECT_TRUE(any_nonfinite(pool, n, s.g.data()));
  }
}

}  // namespace
}  // namespace aftune::kernels
