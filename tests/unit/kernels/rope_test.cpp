#include <gtest/gtest.h>

#include <cmath>

#include "kernels/ops.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

Floats frequencies(const RopeParameters& parameters) {
  Floats f(static_cast<std::size_t>(parameters.head_dim / 2));
  rope_frequencies(parameters, f.data());
  return f;
}

RopeParameters llama3(std::int64_t head_dim, double factor) {
  return {.theta = 5e5, .head_dim = head_dim, .llama3 = true, .factor = factor};
}

TEST(RopeTable, PlainFrequencies) {
  const Floats f = frequencies({.theta = 10000, .head_dim = 8});
  EXPECT_TRUE(same_bits(f, {1.0f, 0.1f, 0.01f, 0.001f}));
}

// The bits of LlamaRotaryEmbedding in transformers 5 with PyTorch 2, on a CPU.
TEST(RopeTable, Llama3FrequenciesEqualTransformers) {
  const Floats f = frequencies(llama3(128, 8));
  EXPECT_TRUE(same_bits({f[0], f[1], f[28], f[29], f[31], f[34], f[35], f[63]},
                        {1.0f, 0x1.a11582p-1f, 0x1.a4ee40p-9f, 0x1.1bfa0cp-9f, 0x1.c12f3cp-11f,
                         0x1.765ba4p-13f, 0x1.90d10cp-14f, 0x1.4985fep-22f}));
  const Floats g = frequencies(llama3(64, 32));
  EXPECT_TRUE(
      same_bits({g[14], g[15], g[16], g[17], g[18]},
                {0x1.a4ee40p-9f, 0x1.524f36p-10f, 0x1.c26c40p-12f, 0x1.9731eep-14f, 0x1.46831ap-16f}));
}

TEST(RopeTable, Llama3FrequenciesEqualTheirFormula) {
  const Floats f = frequencies(llama3(128, 8));
  const double expected[] = {0.0032114459947525913, 0.002166570763503359, 0.0008567514129196321,
                             0.00017850781276799638, 9.556212353964683e-05};
  const std::size_t at[] = {28, 29, 31, 34, 35};
  for (int i = 0; i < 5; ++i) EXPECT_NEAR(f[at[i]] / expected[i], 1, 3e-7) << at[i];
}

TEST(RopeTable, AnglesAreExactToTheBit) {
  const std::int64_t positions = 131072, half = 4;
  const RopeParameters parameters = {.theta = 1e6, .head_dim = 2 * half};
  const Floats f = frequencies(parameters);
  Floats cos(static_cast<std::size_t>(positions * half)), sin(cos);
  rope_table(parameters, positions, cos.data(), sin.data());
  for (std::int64_t p = 0; p < positions; p += 997)
    for (std::int64_t i = 0; i < half; ++i) {
      const auto at = static_cast<std::size_t>(p * half + i);
      const float angle = static_cast<float>(p) * f[static_cast<std::size_t>(i)];
      // A double rounded to a float differs from the exact value rounded only next to a tie, which none of
      // these is.
      EXPECT_EQ(cos[at], static_cast<float>(std::cos(static_cast<long double>(angle)))) << p;
      EXPECT_EQ(sin[at], static_cast<float>(std::sin(static_cast<long double>(angle)))) << p;
    }
}

TEST(RopeTable, KnownRotation) {
  ThreadPool pool(1);
  Floats cos(4), sin(4), q = {1, 2, 3, 4};
  rope_table({.theta = 10000, .head_dim = 4}, 2, cos.data(), sin.data());
  const std::int32_t position = 1;
  rope(pool, 1, 1, 4, &position, cos.data(), sin.data(), false, q.data());
  const double expected[] = {-1.9841106485555495, 1.9599006674966641, 2.4623779024123156, 4.019799668334995};
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(q[i], expected[i], 5e-7);
}

}  // namespace
}  // namespace aftune::kernels
