#include "optim/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace aftune::optim {
namespace {

record::Recipe recipe(const std::string& schedule, std::int64_t steps, std::int64_t warmup) {
  record::Recipe r;
  r.schedule = schedule;
  r.steps = steps;
  r.warmup_steps = warmup;
  r.lr = 1.0;
  return r;
}

TEST(Schedule, CosineAfterWarmupIsThatOfTransformers) {
  const record::Recipe r = recipe("cosine", 10, 2);
  const double expected[] = {0,
                             .5,
                             1,
                             .9619397662556434,
                             .8535533905932737,
                             .6913417161825449,
                             .5,
                             .30865828381745514,
                             .14644660940672627,
                             .03806023374435663,
                             0};
  for (std::int64_t t = 0; t <= 10; ++t) EXPECT_NEAR(learning_rate(r, t), expected[t], 1e-15) << t;
}

TEST(Schedule, LinearHasTheRoundingsOfTransformers) {
  const record::Recipe r = recipe("linear", 10, 3);
  for (std::int64_t t = 0; t < 3; ++t) EXPECT_EQ(learning_rate(r, t), static_cast<double>(t) / 3.0);
  for (std::int64_t t = 3; t <= 10; ++t) EXPECT_EQ(learning_rate(r, t), static_cast<double>(10 - t) / 7.0);
  EXPECT_EQ(learning_rate(r, 11), 0.0);
}

TEST(Schedule, ConstantKeepsTheRateAfterWarmup) {
  record::Recipe r = recipe("constant", 5, 2);
  r.lr = 3e-4;
  EXPECT_EQ(learning_rate(r, 0), 0.0);
  EXPECT_EQ(learning_rate(r, 1), 3e-4 * 0.5);
  for (std::int64_t t = 2; t < 8; ++t) EXPECT_EQ(learning_rate(r, t), 3e-4);
}

TEST(Schedule, WarmupMayOutlastTheRun) {
  const record::Recipe r = recipe("cosine", 4, 8);
  for (std::int64_t t = 0; t < 4; ++t) EXPECT_EQ(learning_rate(r, t), static_cast<double>(t) / 8.0);
  const record::Recipe all = recipe("linear", 4, 4);
  EXPECT_EQ(learning_rate(all, 3), 0.75);
  EXPECT_EQ(learning_rate(all, 4), 0.0);
}

TEST(Clip, ScalesToTheLimitAndNeverUp) {
  record::Recipe r;
  EXPECT_EQ(clip_scale(r, 1e9), 1.0f);  // no limit
  r.clip_norm = 1.0;
  EXPECT_EQ(clip_scale(r, 0.0), 1.0f);
  EXPECT_EQ(clip_scale(r, 0.5), 1.0f);
  EXPECT_EQ(clip_scale(r, 4.0), static_cast<float>(1.0 / (4.0 + 1e-6)));
}

TEST(Clip, NormIsOverAllUnits) {
  EXPECT_EQ(global_norm({9.0, 16.0}), 5.0);
  EXPECT_EQ(global_norm({}), 0.0);
}

Buffer filled(std::initializer_list<float> values) {
  Buffer b(static_cast<std::int64_t>(values.size()));
  std::int64_t i = 0;
  for (const float v : values) b[i++] = v;
  return b;
}

/// A tensor with its moments, all of them starting at zero.
struct Tensor {
  Shape shape;
  Buffer value;
  std::vector<Buffer> moments;
  ThreadPool pool{1};

  Tensor(const record::Recipe& r, Shape s, std::initializer_list<float> values)
      : shape(std::move(s)), value(filled(values)) {
    for (std::size_t i = 0; i < moment_names(r).size(); ++i) moments.push_back(Buffer::zeros(value.size()));
  }
  bool update(const record::Recipe& r, std::int64_t step, std::initializer_list<float> gradient,
              float clip = 1.0f) {
    bool nonfinite = false;
    optim::update(r, step, r.lr, clip, {"w", DType::kF32, shape}, value, moments, filled(gradient), pool,
                  &nonfinite);
    return !nonfinite;
  }
};

record::Recipe torch_defaults() {
  record::Recipe r;
  r.lr = 1e-3;
  r.weight_decay = 1e-2;
  return r;
}

TEST(AdamW, ThreeStepsAreTorchsInFloat32) {
  record::Recipe r = torch_defaults();
  r.decay_all = true;
  Tensor p(r, {1}, {1.0f});
  EXPECT_TRUE(p.update(r, 0, {0.5f}));
  EXPECT_EQ(p.value[0], static_cast<float>(0.998989999294281));
  EXPECT_TRUE(p.update(r, 1, {-0.25f}));
  EXPECT_EQ(p.value[0], static_cast<float>(0.9987136721611023));
  EXPECT_TRUE(p.update(r, 2, {0.1f}));
  EXPECT_EQ(p.value[0], static_cast<float>(0.998388409614563));
}

TEST(AdamW, DecaysMatricesOnly) {
  record::Recipe r = torch_defaults();
  Tensor vector(r, {2}, {1.0f, -1.0f}), matrix(r, {1, 2}, {1.0f, -1.0f});
  vector.update(r, 0, {0.0f, 0.0f});
  matrix.update(r, 0, {0.0f, 0.0f});
  EXPECT_EQ(vector.value[0], 1.0f);
  EXPECT_EQ(matrix.value[0], static_cast<float>(1.0 - 1e-5));
  EXPECT_EQ(matrix.value[1], -static_cast<float>(1.0 - 1e-5));
}

TEST(AdamW, ClipIsAppliedToTheGradient) {
  const record::Recipe r = torch_defaults();
  Tensor clipped(r, {2}, {1.0f, 2.0f}), smaller(r, {2}, {1.0f, 2.0f});
  clipped.update(r, 0, {4.0f, -8.0f}, 0.25f);
  smaller.update(r, 0, {1.0f, -2.0f});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(clipped.value[i], smaller.value[i]);
    EXPECT_EQ(clipped.moments[1][i], smaller.moments[1][i]);
  }
}

TEST(AdamW, ReportsWhatIsNotFinite) {
  const record::Recipe r = torch_defaults();
  constexpr float kInf = std::numeric_limits<float>::infinity(),
                  kNan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {kInf, -kInf, kNan, 1e30f}) {  // the square of 1e30 overflows
    Tensor p(r, {3}, {1.0f, 1.0f, 1.0f});
    EXPECT_FALSE(p.update(r, 0, {0.0f, bad, 0.0f})) << bad;
  }
}

TEST(Sgd, MomentumStartsWithTheGradient) {
  record::Recipe r;
  r.optimizer = "sgd";
  r.lr = 0.5;
  r.momentum = 0.75;
  Tensor p(r, {1}, {1.0f});
  ASSERT_EQ(p.moments.size(), 1u);
  p.update(r, 0, {0.25f});  // buffer 0.25
  EXPECT_EQ(p.value[0], 0.875f);
  p.update(r, 1, {0.5f});  // buffer 0.6875
  EXPECT_EQ(p.moments[0][0], 0.6875f);
  EXPECT_EQ(p.value[0], 0.53125f);
}

TEST(Sgd, WithoutMomentumKeepsNothing) {
  record::Recipe r;
  r.optimizer = "sgd";
  r.lr = 0.5;
  r.weight_decay = 0.5;
  EXPECT_TRUE(moment_names(r).empty());
  Tensor matrix(r, {1, 1}, {2.0f}), vector(r, {1}, {2.0f});
  matrix.update(r, 0, {1.0f});  // g = 1 + 0.5 * 2
  vector.update(r, 0, {1.0f});
  EXPECT_EQ(matrix.value[0], 1.0f);
  EXPECT_EQ(vector.value[0], 1.5f);
}

TEST(Moments, AreNamedAsTorchNamesThem) {
  record::Recipe r;
  EXPECT_EQ(moment_names(r), (std::vector<std::string>{"exp_avg", "exp_avg_sq"}));
  r.optimizer = "sgd";
  r.momentum = 0.9;
  EXPECT_EQ(moment_names(r), std::vector<std::string>{"momentum"});
}

}  // namespace
}  // namespace aftune::optim
