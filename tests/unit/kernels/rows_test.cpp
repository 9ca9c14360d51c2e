// Every instruction set against the plain oracle, at lengths around every edge.

#include <gtest/gtest.h>

#include "base/philox.h"
#include "kernels/cpu/rows.h"
#include "unit/kernels/plain_ops.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

constexpr float kEps = 1e-5f;

class Rows : public ::testing::TestWithParam<Isa> {
 protected:
  const RowTable& table_ = row_table(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Isas, Rows, ::testing::ValuesIn(usable_isas()),
                         [](const auto& test) { return std::string(name(test.param)); });

TEST_P(Rows, RowSumHasTheStatedShape) {
  for (const std::int64_t n : kLengths) {
    const Floats x = awkward(n, 1);
    const float expected =
        plain::rowsum(n, [&](float acc, std::int64_t i) { return acc + x[static_cast<std::size_t>(i)]; });
    EXPECT_TRUE(same_bits({table_.rowsum(n, x.data())}, {expected})) << n;
  }
}

TEST_P(Rows, RowSumOfNegativeZerosIsPositiveZero) {
  const Floats x(40, -0.0f);
  EXPECT_TRUE(same_bits({table_.rowsum(40, x.data())}, {0.0f}));
}

TEST_P(Rows, SumSquaresPartials) {
  for (const std::int64_t n : kLengths) {
    const Floats x = awkward(n, 2);
    Floats partials(static_cast<std::size_t>((n + 1023) / 1024));
    table_.sum_squares(n, x.data(), partials.data());
    for (std::size_t b = 0; b < partials.size(); ++b) {
      const float* block = x.data() + b * 1024;
      const std::int64_t size = std::min<std::int64_t>(1024, n - static_cast<std::int64_t>(b) * 1024);
      const float expected =
          plain::rowsum(size, [&](float acc, std::int64_t i) { return std::fma(block[i], block[i], acc); });
      EXPECT_TRUE(same_bits({partials[b]}, {expected})) << n;
    }
  }
}

TEST_P(Rows, RmsNorm) {
  for (const std::int64_t h : kLengths) {
    if (h == 0) continue;
    const Floats x = awkward(3 * h, 3, 4.0f), w = awkward(h, 4);
    Floats y(x.size()), inv(3), expected_inv(3);
    table_.rmsnorm(3, h, kEps, x.data(), w.data(), y.data(), inv.data());
    EXPECT_TRUE(same_bits(y, plain::rmsnorm(h, kEps, x, w, expected_inv))) << h;
    EXPECT_TRUE(same_bits(inv, expected_inv)) << h;
  }
}

TEST_P(Rows, RmsNormGradInput) {
  for (const std::int64_t h : kLengths)
    for (const bool add : {false, true}) {
      const Floats x = awkward(h, 5, 3.0f), w = awkward(h, 6), dy = awkward(h, 7);
      Floats dx = awkward(h, 8), expected = dx;
      const float inv = 0.7f;
      table_.rmsnorm_grad_input(1, h, x.data(), w.data(), &inv, dy.data(), dx.data(), add);
      plain::rmsnorm_grad_input(h, x.data(), w.data(), inv, dy.data(), expected.data(), add);
      EXPECT_TRUE(same_bits(dx, expected)) << h;
    }
}

TEST_P(Rows, RmsNormGradWeightIsAChainOverTokens) {
  for (const std::int64_t h : kLengths)
    for (const std::int64_t length : {0, 1, 5}) {
      const Floats x = awkward(length * h, 9), dy = awkward(length * h, 10), inv = uniform(length, 11);
      Floats dw = awkward(h, 12), expected = dw;
      table_.rmsnorm_grad_weight(h, length, h, x.data(), inv.data(), dy.data(), dw.data());
      for (std::int64_t c = 0; c < h; ++c) {
        float acc = 0;
        for (std::int64_t t = 0; t < length; ++t) {
          const auto at = static_cast<std::size_t>(t * h + c);
          acc = std::fma(dy[at], x[at] * inv[static_cast<std::size_t>(t)], acc);
        }
        expected[static_cast<std::size_t>(c)] += acc + 0.0f;
      }
      EXPECT_TRUE(same_bits(dw, expected)) << h << ' ' << length;
    }
}

TEST_P(Rows, LayerNorm) {
  for (const std::int64_t h : kLengths) {
    if (h == 0) continue;
    const Floats x = awkward(3 * h, 31, 4.0f), w = awkward(h, 32), b = awkward(h, 33);
    Floats y(x.size()), mean(3), inv(3), expected_mean(3), expected_inv(3);
    table_.layernorm(3, h, kEps, x.data(), w.data(), b.data(), y.data(), mean.data(), inv.data());
    EXPECT_TRUE(same_bits(y, plain::layernorm(h, kEps, x, w, b, expected_mean, expected_inv))) << h;
    EXPECT_TRUE(same_bits(mean, expected_mean)) << h;
    EXPECT_TRUE(same_bits(inv, expected_inv)) << h;
  }
}

TEST_P(Rows, LayerNormGradInput) {
  for (const std::int64_t h : kLengths)
    for (const bool add : {false, true}) {
      const Floats x = awkward(h, 34, 3.0f), w = awkward(h, 35), dy = awkward(h, 36);
      Floats dx = awkward(h, 37), expected = dx;
      const float mean = 0.3f, inv = 0.7f;
      table_.layernorm_grad_input(1, h, x.data(), w.data(), &mean, &inv, dy.data(), dx.data(), add);
      plain::layernorm_grad_input(h, x.data(), w.data(), mean, inv, dy.data(), expected.data(), add);
      EXPECT_TRUE(same_bits(dx, expected)) << h;
    }
}

TEST_P(Rows, LayerNormGradWeightIsAChainOverTokens) {
  for (const std::int64_t h : kLengths)
    for (const std::int64_t length : {0, 1, 5}) {
      const Floats x = awkward(length * h, 38), dy = awkward(length * h, 39), mean = uniform(length, 40),
                   inv = uniform(length, 41);
      Floats dw = awkward(h, 42), expected = dw;
      table_.layernorm_grad_weight(h, length, h, x.data(), mean.data(), inv.data(), dy.data(), dw.data());
      for (std::int64_t c = 0; c < h; ++c) {
        float acc = 0;
        for (std::int64_t t = 0; t < length; ++t) {
          const auto at = static_cast<std::size_t>(t * h + c), row = static_cast<std::size_t>(t);
          acc = std::fma(dy[at], (x[at] - mean[row]) * inv[row], acc);
        }
        expected[static_cast<std::size_t>(c)] += acc + 0.0f;
      }
      EXPECT_TRUE(same_bits(dw, expected)) << h << ' ' << length;
    }
}

TEST_P(Rows, Gelu) {
  for (const GeluForm form : {GeluForm::kErf, GeluForm::kTanh})
    for (const std::int64_t n : kLengths) {
      const Floats x = awkward(n, 43, 8.0f), dy = awkward(n, 44);
      Floats y(x.size()), dx(y), over_x(x), over_dy(dy), expected(y), expected_dx(y);
      table_.gelu(form, n, x.data(), y.data());
      table_.gelu_grad(form, n, x.data(), dy.data(), dx.data());
      table_.gelu_grad(form, n, over_x.data(), dy.data(), over_x.data());
      table_.gelu_grad(form, n, x.data(), over_dy.data(), over_dy.data());
      for (std::size_t i = 0; i < y.size(); ++i) {
        const plain::GeluResult at = plain::gelu(form, x[i]);
        expected[i] = at.value;
        expected_dx[i] = dy[i] * at.slope;
      }
      EXPECT_TRUE(same_bits(y, expected)) << n;
      EXPECT_TRUE(same_bits(dx, expected_dx)) << n;
      EXPECT_TRUE(same_bits(over_x, dx) && same_bits(over_dy, dx)) << n;
    }
}

TEST_P(Rows, SwiGlu) {
  for (const std::int64_t n : kLengths) {
    const Floats gate = awkward(n, 13, 100.0f), up = awkward(n, 14), dy = awkward(n, 15);
    Floats y(gate.size()), dgate(y), dup(y), expected(y), expected_dgate(y), expected_dup(y);
    table_.swiglu(n, gate.data(), up.data(), y.data());
    table_.swiglu_grad(n, gate.data(), up.data(), dy.data(), dgate.data(), dup.data());
    Floats over_gate(gate), over_up(up);
    table_.swiglu_grad(n, over_gate.data(), over_up.data(), dy.data(), over_gate.data(), over_up.data());
    EXPECT_TRUE(same_bits(over_gate, dgate) && same_bits(over_up, dup)) << n;
    for (std::size_t i = 0; i < y.size(); ++i) {
      expected[i] = (gate[i] / (1.0f + plain::exp(-gate[i]))) * up[i];
      plain::swiglu_grad(gate[i], up[i], dy[i], expected_dgate[i], expected_dup[i]);
    }
    EXPECT_TRUE(same_bits(y, expected)) << n;
    EXPECT_TRUE(same_bits(dgate, expected_dgate)) << n;
    EXPECT_TRUE(same_bits(dup, expected_dup)) << n;
  }
}

TEST_P(Rows, AddMayBeInPlace) {
  for (const std::int64_t n : kLengths) {
    const Floats a = awkward(n, 16), b = awkward(n, 17);
    Floats expected(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) expected[i] = a[i] + b[i];
    Floats apart(a.size()), left = a, right = b;
    table_.add(n, a.data(), b.data(), apart.data());
    table_.add(n, left.data(), b.data(), left.data());
    table_.add(n, a.data(), right.data(), right.data());
    EXPECT_TRUE(same_bits(apart, expected)) << n;
    EXPECT_TRUE(same_bits(left, expected)) << n;
    EXPECT_TRUE(same_bits(right, expected)) << n;
  }
}

TEST_P(Rows, BiasIsAddedInPlaceAndItsGradientIsAChainOverTokens) {
  for (const std::int64_t h : kLengths)
    for (const std::int64_t length : {0, 1, 5}) {
      const Floats b = awkward(h, 24), dy = awkward(length * h, 25);
      Floats x = awkward(length * h, 26), expected = x, db = awkward(h, 27), expected_db = db;
      table_.add_bias(length, h, b.data(), x.data());
      table_.bias_grad(h, length, h, dy.data(), db.data());
      for (std::int64_t c = 0; c < h; ++c) {
        float acc = 0;
        for (std::int64_t t = 0; t < length; ++t) {
          const auto at = static_cast<std::size_t>(t * h + c);
          expected[at] = expected[at] + b[static_cast<std::size_t>(c)];
          acc = acc + dy[at];
        }
        expected_db[static_cast<std::size_t>(c)] += acc;
      }
      EXPECT_TRUE(same_bits(x, expected)) << h << ' ' << length;
      EXPECT_TRUE(same_bits(db, expected_db)) << h << ' ' << length;
    }
}

TEST_P(Rows, Scaled) {
  for (const std::int64_t n : kLengths) {
    const Floats x = awkward(n, 28);
    Floats y(x.size()), sum = awkward(n, 29), expected(x.size()), expected_sum = sum;
    table_.scale(n, 0.7f, x.data(), y.data());
    table_.add_scaled(n, 0.7f, x.data(), sum.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      expected[i] = 0.7f * x[i];
      expected_sum[i] = std::fma(0.7f, x[i], expected_sum[i]);
    }
    EXPECT_TRUE(same_bits(y, expected)) << n;
    EXPECT_TRUE(same_bits(sum, expected_sum)) << n;
  }
}

TEST_P(Rows, DropoutTakesTheWordOfEachElement) {
  for (const std::int64_t h : kLengths)
    for (const double p : {0.0, 0.25, 0.999}) {
      const std::uint64_t seed = 0x123456789abcdef0;
      Floats x = awkward(2 * h, 30), expected(x.size());
      for (std::uint32_t i = 0; i < expected.size(); ++i) {
        const auto width = static_cast<std::uint32_t>(h);
        const PhiloxBlock words = philox({i % width / 4, 6 + i / width, 77, 3u << 16 | 9u << 8 | 4u}, seed);
        const bool drops = words[i % width % 4] < static_cast<std::uint32_t>(p * 0x1p32);
        expected[i] = drops ? 0.0f : x[i] * static_cast<float>(1 / (1 - p));
      }
      Floats y(x.size());
      table_.dropout({p, seed, 1, 9, 4}, 2, h, 6, 77, x.data(), y.data());
      table_.dropout({p, seed, 1, 9, 4}, 2, h, 6, 77, x.data(), x.data());
      EXPECT_TRUE(same_bits(y, expected)) << h << ' ' << p;
      EXPECT_TRUE(same_bits(x, expected)) << h << ' ' << p;
    }
}

TEST_P(Rows, Rope) {
  for (const std::int64_t half : {1, 2, 15, 16, 17, 32, 64})
    for (const bool inverse : {false, true}) {
      const std::int64_t heads = 3, head_dim = 2 * half;
      const std::int32_t positions[] = {2, 0};
      const Floats cos = uniform(3 * half, 18), sin = awkward(3 * half, 19);
      Floats x = awkward(2 * heads * head_dim, 20), expected = x;
      table_.rope(2, heads, head_dim, positions, cos.data(), sin.data(), inverse, x.data());
      for (std::int64_t i = 0; i < 2 * heads * half; ++i) {
        float& a = expected[static_cast<std::size_t>(i / half * head_dim + i % half)];
        float& b = *(&a + half);
        const auto at = static_cast<std::size_t>(positions[i / (heads * half)] * half + i % half);
        const float s = inverse ? -sin[at] : sin[at], old = a;
        a = std::fma(-b, s, old * cos[at]);
        b = std::fma(old, s, b * cos[at]);
      }
      EXPECT_TRUE(same_bits(x, expected)) << half;
    }
}

TEST_P(Rows, CrossEntropy) {
  for (const std::int64_t vocab : kLengths)
    for (const bool grad : {false, true}) {
      if (vocab == 0) continue;
      const std::int32_t labels[] = {static_cast<std::int32_t>(vocab - 1), -100,
                                     static_cast<std::int32_t>(vocab / 2)};
      Floats logits = awkward(3 * vocab, 21, 30.0f), expected = logits, loss(3), expected_loss(3);
      table_.cross_entropy(3, vocab, logits.data(), labels, 0.25f, grad, loss.data());
      for (const std::size_t r : {0, 2})
        expected_loss[r] = plain::cross_entropy(vocab, labels[r], 0.25f, grad,
                                                expected.data() + static_cast<std::int64_t>(r) * vocab);
      if (grad) std::fill(expected.begin() + vocab, expected.begin() + 2 * vocab, 0.0f);
      EXPECT_TRUE(same_bits(loss, expected_loss)) << vocab;
      EXPECT_TRUE(same_bits(logits, expected)) << vocab;
    }
}

TEST_P(Rows, Embedding) {
  for (const std::int64_t h : kLengths) {
    const Floats table = awkward(4 * h, 22);
    const std::int32_t ids[] = {3, 0, 3};
    Floats y(static_cast<std::size_t>(3 * h));
    table_.embedding(3, h, ids, table.data(), y.data());
    for (std::int64_t i = 0; i < 3 * h; ++i)
      ASSERT_TRUE(same_bits({y[static_cast<std::size_t>(i)]},
                            {table[static_cast<std::size_t>(ids[i / h] * h + i % h)]}));
  }
}

TEST_P(Rows, AnyNonFinite) {
  for (const std::int64_t n : kLengths) {
    Floats x = awkward(n, 23, 0x1p127f);
    EXPECT_FALSE(table_.any_nonfinite(n, x.data())) << n;
    for (std::int64_t i = 0; i < n; i += 1 + n / 7)
      for (const float bad : {kInf, -kInf, kNan}) {
        const float kept = std::exchange(x[static_cast<std::size_t>(i)], bad);
        EXPECT_TRUE(table_.any_nonfinite(n, x.data())) << n << ' ' << i;
        x[static_cast<std::size_t>(i)] = kept;
      }
  }
}

}  // namespace
}  // namespace aftune::kernels
