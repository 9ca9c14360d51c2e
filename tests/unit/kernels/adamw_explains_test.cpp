#include "kernels/adamw_explains.h"

#include <gtest/gtest.h>

#include "kernels/ops.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

constexpr AdamW kOp{0.9f, 0.999f, 0.1f, 0.001f, 1e-3f, 0.25f, 1e-8f, 0.999f, 0.75f};
constexpr std::int64_t kCount = 2000;

struct Step {
  std::vector<AdamWElement> before, after;
  Floats gradient;
};

/// A step of adamw/1 on values over many octaves, with zeros and subnormals among them.
Step step_of(const AdamW& op) {
  Floats p = awkward(kCount, 1), m = awkward(kCount, 2, 1e-2f), v = awkward(kCount, 3, 1e-3f);
  for (float& value : v) value *= value;
  Step step{{}, {}, awkward(kCount, 4)};
  for (std::size_t i = 0; i < p.size(); ++i) {
    step.gradient[i] = std::ldexp(step.gradient[i], -static_cast<int>(i % 40));
    step.before.push_back({p[i], m[i], v[i]});
  }
  ThreadPool pool(1);
  adamw(pool, op, kCount, p.data(), m.data(), v.data(), step.gradient.data());
  for (std::size_t i = 0; i < p.size(); ++i) step.after.push_back({p[i], m[i], v[i]});
  return step;
}

TEST(AdamWExplains, EveryStepThatWasMade) {
  AdamW first = kOp;
  first.clip = 1;
  first.decay = 1;
  for (const AdamW& op : {kOp, first}) {
    const Step step = step_of(op);
    for (std::size_t i = 0; i < step.after.size(); ++i)
      EXPECT_EQ(adamw_explains(op, step.before[i], step.after[i], step.gradient[i]), 0.0) << i;
  }
}

TEST(AdamWExplains, HowFarAnotherGradientIs) {
  const Step step = step_of(kOp);
  for (std::size_t i = 0; i < step.after.size(); ++i) {
    const double g = double{step.gradient[i]} * kOp.clip;
    if (std::fabs(g) < 1e-4) continue;
    // From the same side, and from the other one.
    for (const float other : {step.gradient[i] * 1.25f, -step.gradient[i]}) {
      const auto distance = adamw_explains(kOp, step.before[i], step.after[i], other);
      ASSERT_TRUE(distance.has_value()) << i;
      const double expected = std::fabs(double{other} * kOp.clip - g);
      EXPECT_NEAR(*distance, expected, expected * 1e-3) << i;
    }
  }
}

TEST(AdamWExplains, NoParameterButTheOneThatFollows) {
  const Step step = step_of(kOp);
  for (std::size_t i = 0; i < step.after.size(); ++i)
    for (const float side : {-kInf, kInf}) {
      AdamWElement moved = step.after[i];
      moved.p = std::nextafter(moved.p, side);
      EXPECT_FALSE(adamw_explains(kOp, step.before[i], moved, step.gradient[i]).has_value()) << i;
    }
}

// Of m alone some other gradient is an explanation, and the second moment then is not: at most by chance, for
// gradients that it hardly depends on.
TEST(AdamWExplains, NoFirstMomentWithoutItsSecond) {
  const Step step = step_of(kOp);
  std::size_t tried = 0, explained = 0;
  for (std::size_t i = 0; i < step.after.size(); ++i) {
    const double g = double{step.gradient[i]} * kOp.clip;
    if (std::fabs(g) < 1e-2) continue;
    AdamWElement moved = step.after[i];
    moved.m += static_cast<float>(0.1 * 0.1 * g);
    moved.p = step.before[i].p;  // what follows from the forged moments, by the op's own formula
    const float denominator = std::sqrt(moved.v) / kOp.bias2_sqrt + kOp.eps;
    moved.p = moved.p * kOp.decay - (kOp.step_size * moved.m) / denominator;
    ++tried;
    explained += adamw_explains(kOp, step.before[i], moved, step.gradient[i]).has_value() ? 1 : 0;
  }
  EXPECT_GT(tried, 100u);
  EXPECT_EQ(explained, 0u);
}

TEST(AdamWExplains, AZeroOfTheOtherSignIsAnotherNumber) {
  AdamW op = kOp;
  op.clip = 1;
  const AdamWElement before{0.5f, 0.0f, 0.0f};
  ThreadPool pool(1);
  float p = before.p, m = before.m, v = before.v, g = 0.0f;
  adamw(pool, op, 1, &p, &m, &v, &g);
  EXPECT_EQ(adamw_explains(op, before, {p, m, v}, g), 0.0);
  // Of a gradient so small that its part of m is nothing, but not of none.
  const auto distance = adamw_explains(op, before, {p, -0.0f, v}, g);
  EXPECT_GT(distance.value_or(0.0), 0.0);
  EXPECT_LT(distance.value_or(1.0), 1e-40);
  EXPECT_FALSE(adamw_explains(op, before, {p, m, -0.0f}, g).has_value());
}

}  // namespace
}  // namespace aftune::kernels
