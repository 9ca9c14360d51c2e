// The operations as the engine calls them: threads decide no bit, and non-finite values are never hidden.

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "kernels/ops.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

/// body(pool) gives the same bits for 1, 2, 3 and 7 threads.
template <class Body>
void expect_same_for_any_threads(const Body& body) {
  ThreadPool one(1);
  const Floats expected = body(one);
  for (const int threads : {2, 3, 7}) {
    ThreadPool pool(threads);
    EXPECT_TRUE(same_bits(body(pool), expected)) << threads << " threads";
  }
}

constexpr std::int64_t kRows = 37, kWidth = 1100, kCount = kRows * kWidth;

std::vector<std::int32_t> some_ids(std::int64_t n, std::uint32_t below) {
  std::vector<std::int32_t> ids;
  for (std::uint32_t i = 0; i < n; ++i)
    ids.push_back(static_cast<std::int32_t>(philox({i, 1, 2, 3}, 5)[0] % below));
  return ids;
}

TEST(Threads, RmsNorm) {
  const Floats x = awkward(kCount, 1), w = awkward(kWidth, 2), dy = awkward(kCount, 3);
  const std::int64_t starts[] = {0, 10, 11, kRows};
  expect_same_for_any_threads([&](ThreadPool& pool) {
    Floats y(x.size()), inv(kRows), dx = x, dw(kWidth);
    rmsnorm(pool, kRows, kWidth, 1e-6f, x.data(), w.data(), y.data(), inv.data());
    rmsnorm_grad_input(pool, kRows, kWidth, x.data(), w.data(), inv.data(), dy.data(), dx.data(), Into::kAdd);
    rmsnorm_grad_weight(pool, 3, starts, kWidth, x.data(), inv.data(), dy.data(), dw.data());
    for (const Floats* part : {&inv, &dx, &dw}) y.insert(y.end(), part->begin(), part->end());
    return y;
  });
}

TEST(Threads, LayerNorm) {
  const Floats x = awkward(kCount, 18), w = awkward(kWidth, 19), dy = awkward(kCount, 20);
  const std::int64_t starts[] = {0, 10, 11, kRows};
  expect_same_for_any_threads([&](ThreadPool& pool) {
    Floats y(x.size()), mean(kRows), inv(kRows), dx = x, dw(kWidth);
    layernorm(pool, kRows, kWidth, 1e-6f, x.data(), w.data(), w.data(), y.data(), mean.data(), inv.data());
    layernorm_grad_input(pool, kRows, kWidth, x.data(), w.data(), mean.data(), inv.data(), dy.data(),
                         dx.data(), Into::kAdd);
    layernorm_grad_weight(pool, 3, starts, kWidth, x.data(), mean.data(), inv.data(), dy.data(), dw.data());
    for (const Floats* part : {&mean, &inv, &dx, &dw}) y.insert(y.end(), part->begin(), part->end());
    return y;
  });
}

TEST(Threads, ElementOperations) {
  const std::int64_t n = 200001;
  const Floats a = awkward(n, 4, 10), b = awkward(n, 5), c = awkward(n, 6);
  expect_same_for_any_threads([&](ThreadPool& pool) {
    Floats y(a.size()), da(a.size()), db(a.size());
    swiglu(pool, n, a.data(), b.data(), y.data());
    swiglu_grad(pool, n, a.data(), b.data(), c.data(), da.data(), db.data());
    for (const GeluForm form : {GeluForm::kErf, GeluForm::kTanh}) {
      gelu(pool, form, n, y.data(), y.data());
      gelu_grad(pool, form, n, a.data(), da.data(), da.data());
    }
    add(pool, n, y.data(), da.data(), y.data());
    add(pool, n, y.data(), db.data(), y.data());
    return y;
  });
}

TEST(Threads, Bias) {
  const Floats b = awkward(kWidth, 14);
  const std::int64_t starts[] = {0, 10, 11, kRows};
  expect_same_for_any_threads([&](ThreadPool& pool) {
    Floats x = awkward(kCount, 15), db(kWidth);
    add_bias(pool, kRows, kWidth, b.data(), x.data());
    bias_grad(pool, 3, starts, kWidth, x.data(), db.data());
    x.insert(x.end(), db.begin(), db.end());
    return x;
  });
}

TEST(Threads, ScaledAndDropout) {
  const Floats x = awkward(kCount, 16);
  const std::int64_t starts[] = {0, 10, 11, kRows};
  const DropoutSite site{0.3, 7, 5, 1, 2};
  expect_same_for_any_threads([&](ThreadPool& pool) {
    Floats y(x.size()), sum = x;
    dropout(pool, site, 3, starts, kWidth, x.data(), y.data());
    add_scaled(pool, kCount, 0.5f, y.data(), sum.data());
    scale(pool, kCount, 0.3f, y.data(), y.data());
    y.insert(y.end(), sum.begin(), sum.end());
    return y;
  });
}

// What is dropped depends on the row's number in the run, not on which rows come along.
TEST(MicroBatches, DropoutDoesNotDependOnTheSplit) {
  ThreadPool pool(1);
  const Floats x = uniform(kCount, 17);
  const std::int64_t starts[] = {0, 5, 6, 20, kRows};
  const DropoutSite site{0.3, 7, 5, 1, 2};
  Floats whole(x.size()), split(x.size());
  dropout(pool, site, 4, starts, kWidth, x.data(), whole.data());
  for (std::uint32_t r = 0; r < 4; ++r) {
    const std::int64_t row[] = {0, starts[r + 1] - starts[r]}, at = starts[r] * kWidth;
    dropout(pool, {0.3, 7, 5 + r, 1, 2}, 1, row, kWidth, x.data() + at, split.data() + at);
  }
  EXPECT_TRUE(same_bits(whole, split));
  const auto zeros = static_cast<double>(std::count(whole.begin(), whole.end(), 0.0f));
  EXPECT_NEAR(zeros / kCount, 0.3, 4 * std::sqrt(0.3 * 0.7 / kCount));
}

TEST(Threads, RopeAndCrossEntropy) {
  const std::vector<std::int32_t> positions = some_ids(kRows, 64), labels = some_ids(kRows, kWidth);
  Floats cos(64 * 22), sin(64 * 22);
  rope_table({.theta = 10000, .head_dim = 44}, 64, cos.data(), sin.data());
  expect_same_for_any_threads([&](ThreadPool& pool) {
    Floats x = awkward(kCount, 7, 9), loss(kRows);
    rope(pool, kRows, 25, 44, positions.data(), cos.data(), sin.data(), false, x.data());
    cross_entropy(pool, kRows, kWidth, x.data(), labels.data(), 0.1f, true, loss.data());
    x.insert(x.end(), loss.begin(), loss.end());
    return x;
  });
}

TEST(Threads, Embedding) {
  const std::vector<std::int32_t> ids = some_ids(kRows, 9);
  const Floats table = awkward(9 * kWidth, 8);
  const std::int64_t starts[] = {0, 20, kRows};
  expect_same_for_any_threads([&](ThreadPool& pool) {
    Floats y(kCount), dtable = table;
    embedding(pool, kRows, kWidth, ids.data(), table.data(), y.data());
    embedding_grad(pool, 2, starts, kWidth, ids.data(), y.data(), dtable.data());
    y.insert(y.end(), dtable.begin(), dtable.end());
    return y;
  });
}

TEST(Threads, SumSquaresIsTheOrderedSumOfItsPartials) {
  const std::int64_t n = 150000;
  const Floats x = awkward(n, 9);
  double expected = 0, exact = 0;
  for (std::int64_t at = 0; at < n; at += 1024) {
    ThreadPool pool(1);
    expected += sum_squares(pool, std::min<std::int64_t>(1024, n - at), x.data() + at);
  }
  for (const float value : x) exact += static_cast<double>(value) * static_cast<double>(value);
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(sum_squares(pool, n, x.data()), expected);
  }
  EXPECT_NEAR(expected / exact, 1, 1e-6);
}

// Gradients may be summed over any split of the batch into calls of whole rows.
TEST(MicroBatches, GradientsOfWeightsDoNotDependOnTheSplit) {
  const Floats x = awkward(kCount, 10), dy = awkward(kCount, 11), inv = uniform(kRows, 12);
  const std::vector<std::int32_t> ids = some_ids(kRows, 5);
  const std::int64_t starts[] = {0, 5, 6, 20, kRows};
  ThreadPool pool(2);
  Floats dw(kWidth), db(kWidth), dtable(5 * kWidth), split_dw(dw), split_db(db), split_dtable(dtable);
  Floats dl(kWidth), split_dl(dl);
  layernorm_grad_weight(pool, 4, starts, kWidth, x.data(), inv.data(), inv.data(), dy.data(), dl.data());
  rmsnorm_grad_weight(pool, 4, starts, kWidth, x.data(), inv.data(), dy.data(), dw.data());
  bias_grad(pool, 4, starts, kWidth, dy.data(), db.data());
  embedding_grad(pool, 4, starts, kWidth, ids.data(), dy.data(), dtable.data());
  for (int r = 0; r < 4; ++r) {
    const std::int64_t first = starts[r], row[] = {0, starts[r + 1] - first}, at = first * kWidth;
    rmsnorm_grad_weight(pool, 1, row, kWidth, x.data() + at, inv.data() + first, dy.data() + at,
                        split_dw.data());
    bias_grad(pool, 1, row, kWidth, dy.data() + at, split_db.data());
    layernorm_grad_weight(pool, 1, row, kWidth, x.data() + at, inv.data() + first, inv.data() + first,
                          dy.data() + at, split_dl.data());
    embedding_grad(pool, 1, row, kWidth, ids.data() + first, dy.data() + at, split_dtable.data());
  }
  EXPECT_TRUE(same_bits(dw, split_dw));
  EXPECT_TRUE(same_bits(db, split_db));
  EXPECT_TRUE(same_bits(dl, split_dl));
  EXPECT_TRUE(same_bits(dtable, split_dtable));
}

TEST(NonFinite, CrossEntropyNeverHidesABadLogit) {
  ThreadPool pool(1);
  for (const float bad : {kNan, -kNan, kInf, -kInf})
    for (const std::int64_t vocab : {2, 33, 1025})
      for (std::int64_t at = 0; at < vocab; at += 1 + vocab / 40)
        for (const std::int64_t label : {std::int64_t{0}, at}) {
          Floats logits = uniform(vocab, 13);
          logits[static_cast<std::size_t>(at)] = bad;
          const auto id = static_cast<std::int32_t>(label);
          float loss = 0;
          cross_entropy(pool, 1, vocab, logits.data(), &id, 1, at % 2 == 0, &loss);
          EXPECT_FALSE(std::isfinite(loss)) << bad << " at " << at << " of " << vocab;
        }
}

TEST(NonFinite, RmsNormNeverHidesABadOrOverflowingRow) {
  ThreadPool pool(1);
  for (const float bad : {kNan, kInf, -kInf, 3e38f, 1e20f}) {
    Floats x = uniform(100, 14), y(100);
    const Floats w(100, 1.0f);
    float inv = 0;
    x[57] = bad;
    rmsnorm(pool, 1, 100, 1e-6f, x.data(), w.data(), y.data(), &inv);
    EXPECT_TRUE(std::isnan(inv)) << bad;
    EXPECT_TRUE(any_nonfinite(pool, 100, y.data())) << bad;
  }
}

TEST(NonFinite, LayerNormNeverHidesABadOrOverflowingRow) {
  ThreadPool pool(1);
  for (const float bad : {kNan, kInf, -kInf, 3e38f, 1e20f}) {
    Floats x = uniform(100, 14), y(100);
    const Floats w(100, 1.0f), b(100, 0.0f);
    float mean = 0, inv = 0;
    x[57] = bad;
    layernorm(pool, 1, 100, 1e-6f, x.data(), w.data(), b.data(), y.data(), &mean, &inv);
    EXPECT_TRUE(std::isnan(inv)) << bad;
    EXPECT_TRUE(any_nonfinite(pool, 100, y.data())) << bad;
  }
}

TEST(NonFinite, GeluPassesBadInputsOn) {
  ThreadPool pool(1);
  for (const GeluForm form : {GeluForm::kErf, GeluForm::kTanh})
    for (const float bad : {kNan, -kNan, kInf, -kInf}) {
      const float good = 0.5f;
      float y = 0, dx = 0;
      gelu(pool, form, 1, &bad, &y);
      EXPECT_FALSE(std::isfinite(y)) << bad;
      gelu_grad(pool, form, 1, &good, &bad, &dx);
      EXPECT_FALSE(std::isfinite(dx)) << bad;
      gelu_grad(pool, form, 1, &bad, &good, &dx);
      EXPECT_TRUE(std::isnan(dx)) << bad;
    }
}

// Also where squares and cubes overflow.
TEST(NonFinite, GeluOfAnyFiniteNumberIsFinite) {
  ThreadPool pool(1);
  for (const GeluForm form : {GeluForm::kErf, GeluForm::kTanh})
    for (const float x : {1e13f, 1e20f, 3e38f}) {
      float y = 0;
      gelu(pool, form, 1, &x, &y);
      EXPECT_EQ(y, x);
      const float negative = -x;
      gelu(pool, form, 1, &negative, &y);
      EXPECT_EQ(y, 0.0f);
    }
}

TEST(NonFinite, SwiGluPassesBadInputsOn) {
  ThreadPool pool(1);
  for (const float bad : {kNan, -kNan, kInf, -kInf}) {
    const float good = 0.5f;
    float y = 0, dgate = 0, dup = 0;
    swiglu(pool, 1, &bad, &good, &y);
    EXPECT_FALSE(std::isfinite(y)) << bad;
    swiglu(pool, 1, &good, &bad, &y);
    EXPECT_FALSE(std::isfinite(y)) << bad;
    swiglu_grad(pool, 1, &good, &good, &bad, &dgate, &dup);
    EXPECT_FALSE(std::isfinite(dgate) || std::isfinite(dup)) << bad;
  }
}

TEST(Init, HasTheMomentsOfANormalDistribution) {
  ThreadPool pool(2);
  const std::int64_t n = 200000;
  Floats x(static_cast<std::size_t>(n));
  init_normal(pool, 1, 2, 0.5f, n, x.data());
  double sum = 0, squares = 0, fourth = 0, neighbours = 0;
  std::int64_t beyond = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double z = static_cast<double>(x[i]) / 0.5;
    sum += z;
    squares += z * z;
    fourth += z * z * z * z;
    if (i > 0) neighbours += z * static_cast<double>(x[i - 1]) / 0.5;
    beyond += std::abs(z) > 1.959964 ? 1 : 0;
  }
  const auto count = static_cast<double>(n);  // bounds are about four standard errors
  EXPECT_NEAR(sum / count, 0, 0.009);
  EXPECT_NEAR(squares / count, 1, 0.013);
  EXPECT_NEAR(fourth / count, 3, 0.09);
  EXPECT_NEAR(neighbours / count, 0, 0.009);
  EXPECT_NEAR(static_cast<double>(beyond) / count, 0.05, 0.002);
}

TEST(Init, DependsOnSeedNameAndIndexOnly) {
  const std::int64_t n = 40003;
  expect_same_for_any_threads([&](ThreadPool& pool) {
    Floats x(static_cast<std::size_t>(n));
    init_normal(pool, 7, 8, 0.02f, n, x.data());
    return x;
  });
  ThreadPool pool(1);
  Floats whole(40003), prefix(101), seed(101), name(101), high_name(101);
  init_normal(pool, 7, 8, 0.02f, n, whole.data());
  init_normal(pool, 7, 8, 0.02f, 101, prefix.data());
  init_normal(pool, 9, 8, 0.02f, 101, seed.data());
  init_normal(pool, 7, 9, 0.02f, 101, name.data());
  init_normal(pool, 7, 8 | std::uint64_t{1} << 40, 0.02f, 101, high_name.data());
  whole.resize(101);
  EXPECT_TRUE(same_bits(whole, prefix));
  EXPECT_FALSE(same_bits(whole, seed));
  EXPECT_FALSE(same_bits(whole, name));
  EXPECT_FALSE(same_bits(whole, high_name));
}

// Box and Muller by another road: the C library in long double.
TEST(Init, FirstElementsFollowTheirDefinition) {
  ThreadPool pool(1);
  Floats x(8);
  init_normal(pool, 42, 0x123456789abcdef0, 1.0f, 8, x.data());
  for (std::uint32_t block = 0; block < 2; ++block) {
    const PhiloxBlock words = philox({block, 0, 0x9abcdef0, 2u << 16 | 0x5678}, 42);
    for (std::size_t pair = 0; pair < 2; ++pair) {
      const long double radius = std::sqrt(-2 * std::log((words[2 * pair] + 0.5L) / 4294967296.0L));
      const long double angle = 2 * 3.14159265358979323846264L * words[2 * pair + 1] / 4294967296.0L;
      EXPECT_FLOAT_EQ(x[4 * block + 2 * pair], static_cast<float>(radius * std::cos(angle)));
      EXPECT_FLOAT_EQ(x[4 * block + 2 * pair + 1], static_cast<float>(radius * std::sin(angle)));
    }
  }
}

}  // namespace
}  // namespace aftune::kernels
