// Gradients against central differences of the same formulas in binary64.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "kernels/ops.h"
#include "unit/kernels/samples.h"

namespace aftune::kernels {
namespace {

using Doubles = std::vector<double>;

Doubles widen(const Floats& x) {
  return {x.begin(), x.end()};
}

/// Checks grad against the differences of loss at x, each element to `tolerance` of the largest gradient.
void expect_gradient(const Floats& grad, const Floats& at, const std::function<double(const Doubles&)>& loss,
                     double tolerance = 1e-5) {
  constexpr double kStep = 1e-5;
  Doubles x = widen(at), numeric(x.size());
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double centre = x[i];
    x[i] = centre + kStep;
    const double above = loss(x);
    x[i] = centre - kStep;
    numeric[i] = (above - loss(x)) / (2 * kStep);
    x[i] = centre;
    largest = std::max(largest, std::abs(numeric[i]));
  }
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(grad[i], numeric[i], tolerance * largest) << i;
}

double dot(const Doubles& y, const Floats& dy) {
  double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * static_cast<double>(dy[i]);
  return sum;
}

constexpr std::int64_t kRows = 5, kWidth = 48;
constexpr double kEps = 1e-5;

Doubles rmsnorm64(const Doubles& x, const Doubles& w) {
  Doubles y(x.size());
  for (std::size_t r = 0; r < x.size(); r += w.size()) {
    double squares = 0;
    for (std::size_t i = 0; i < w.size(); ++i) squares += x[r + i] * x[r + i];
    const double inv = 1 / std::sqrt(squares / static_cast<double>(w.size()) + kEps);
    for (std::size_t i = 0; i < w.size(); ++i) y[r + i] = x[r + i] * inv * w[i];
  }
  return y;
}

TEST(Gradients, RmsNorm) {
  ThreadPool pool(2);
  const Floats x = uniform(kRows * kWidth, 1, 2), w = uniform(kWidth, 2), dy = uniform(kRows * kWidth, 3);
  Floats y(x.size()), inv(kRows), dx(x.size()), dw(kWidth);
  rmsnorm(pool, kRows, kWidth, static_cast<float>(kEps), x.data(), w.data(), y.data(), inv.data());
  rmsnorm_grad_input(pool, kRows, kWidth, x.data(), w.data(), inv.data(), dy.data(), dx.data(), Into::kStore);
  const std::int64_t starts[] = {0, 2, 2, kRows};
  rmsnorm_grad_weight(pool, 3, starts, kWidth, x.data(), inv.data(), dy.data(), dw.data());
  expect_gradient(dx, x, [&](const Doubles& at) { return dot(rmsnorm64(at, widen(w)), dy); });
  expect_gradient(dw, w, [&](const Doubles& at) { return dot(rmsnorm64(widen(x), at), dy); });
}

Doubles layernorm64(const Doubles& x, const Doubles& w, const Doubles& b) {
  Doubles y(x.size());
  const auto count = static_cast<double>(w.size());
  for (std::size_t r = 0; r < x.size(); r += w.size()) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < w.size(); ++i) sum += x[r + i];
    const double mean = sum / count;
    for (std::size_t i = 0; i < w.size(); ++i) squares += (x[r + i] - mean) * (x[r + i] - mean);
    const double inv = 1 / std::sqrt(squares / count + kEps);
    for (std::size_t i = 0; i < w.size(); ++i) y[r + i] = (x[r + i] - mean) * inv * w[i] + b[i];
  }
  return y;
}

TEST(Gradients, LayerNorm) {
  ThreadPool pool(2);
  const Floats x = uniform(kRows * kWidth, 21, 2), w = uniform(kWidth, 22), b = uniform(kWidth, 23),
               dy = uniform(kRows * kWidth, 24);
  Floats y(x.size()), mean(kRows), inv(kRows), dx(x.size()), dw(kWidth), db(kWidth);
  layernorm(pool, kRows, kWidth, static_cast<float>(kEps), x.data(), w.data(), b.data(), y.data(),
            mean.data(), inv.data());
  layernorm_grad_input(pool, kRows, kWidth, x.data(), w.data(), mean.data(), inv.data(), dy.data(), dx.data(),
                       Into::kStore);
  const std::int64_t starts[] = {0, 2, 2, kRows};
  layernorm_grad_weight(pool, 3, starts, kWidth, x.data(), mean.data(), inv.data(), dy.data(), dw.data());
  bias_grad(pool, 3, starts, kWidth, dy.data(), db.data());
  const auto at = [&](const Doubles& x64, const Doubles& w64, const Doubles& b64) {
    return dot(layernorm64(x64, w64, b64), dy);
  };
  expect_gradient(dx, x, [&](const Doubles& moved) { return at(moved, widen(w), widen(b)); });
  expect_gradient(dw, w, [&](const Doubles& moved) { return at(widen(x), moved, widen(b)); });
  expect_gradient(db, b, [&](const Doubles& moved) { return at(widen(x), widen(w), moved); });
}

double gelu64(GeluForm form, double x) {
  if (form == GeluForm::kErf) return 0.5 * x * std::erfc(-x * std::sqrt(0.5));
  return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
}

TEST(Gradients, Gelu) {
  ThreadPool pool(2);
  const std::int64_t n = kRows * kWidth;
  const Floats x = uniform(n, 25, 5), dy = uniform(n, 26);
  for (const GeluForm form : {GeluForm::kErf, GeluForm::kTanh}) {
    Floats dx(x.size());
    gelu_grad(pool, form, n, x.data(), dy.data(), dx.data());
    expect_gradient(dx, x, [&](const Doubles& at) {
      Doubles y;
      for (const double value : at) y.push_back(gelu64(form, value));
      return dot(y, dy);
    });
  }
}

double swiglu_loss(const Doubles& gate, const Doubles& up, const Floats& dy) {
  Doubles y(gate.size());
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = gate[i] / (1 + std::exp(-gate[i])) * up[i];
  return dot(y, dy);
}

TEST(Gradients, SwiGlu) {
  ThreadPool pool(2);
  const std::int64_t n = kRows * kWidth;
  const Floats gate = uniform(n, 4, 8), up = uniform(n, 5), dy = uniform(n, 6);
  Floats dgate(gate.size()), dup(gate.size());
  swiglu_grad(pool, n, gate.data(), up.data(), dy.data(), dgate.data(), dup.data());
  expect_gradient(dgate, gate, [&](const Doubles& at) { return swiglu_loss(at, widen(up), dy); });
  expect_gradient(dup, up, [&](const Doubles& at) { return swiglu_loss(widen(gate), at, dy); });
}

/// Sum of the losses of the positions that have a label.
double cross_entropy64(const Doubles& logits, const std::vector<std::int32_t>& labels) {
  const std::size_t vocab = logits.size() / labels.size();
  double total = 0;
  for (std::size_t r = 0; r < labels.size(); ++r) {
    if (labels[r] < 0) continue;
    double sum = 0;
    for (std::size_t i = 0; i < vocab; ++i) sum += std::exp(logits[r * vocab + i]);
    total += std::log(sum) - logits[r * vocab + static_cast<std::size_t>(labels[r])];
  }
  return total;
}

TEST(Gradients, CrossEntropy) {
  ThreadPool pool(2);
  const Floats logits = uniform(kRows * kWidth, 7, 6);
  const std::vector<std::int32_t> labels = {0, -100, 47, 13, -1};
  Floats grad = logits, loss(kRows);
  cross_entropy(pool, kRows, kWidth, grad.data(), labels.data(), 1.0f / 3, true, loss.data());
  expect_gradient(grad, logits, [&](const Doubles& at) { return cross_entropy64(at, labels) / 3; });
  double total = 0;
  for (const float one : loss) total += one;
  EXPECT_NEAR(total, cross_entropy64(widen(logits), labels), 1e-5);
}

TEST(Gradients, CrossEntropyKnownValue) {
  ThreadPool pool(1);
  Floats logits = {2, 1, 0.1f, 7, 7, 7, 1, 2, 3}, loss(3);
  const std::int32_t labels[] = {0, -100, 2};
  cross_entropy(pool, 3, 3, logits.data(), labels, 0.5f, false, loss.data());
  EXPECT_NEAR((loss[0] + loss[2]) / 2, 0.4123179903611067, 1e-7);
  EXPECT_EQ(loss[1], 0.0f);
}

TEST(Gradients, RopeBackwardsIsTheTranspose) {
  ThreadPool pool(2);
  const std::int64_t heads = 2, head_dim = 12, n = 4;
  const std::int32_t positions[] = {0, 3, 1, 2};
  Floats cos(24), sin(24);
  rope_table({.theta = 100, .head_dim = head_dim}, 4, cos.data(), sin.data());
  const Floats x = uniform(n * heads * head_dim, 8), dy = uniform(n * heads * head_dim, 9);
  Floats y = x, dx = dy;
  rope(pool, n, heads, head_dim, positions, cos.data(), sin.data(), false, y.data());
  rope(pool, n, heads, head_dim, positions, cos.data(), sin.data(), true, dx.data());
  EXPECT_NEAR(dot(widen(y), dy), dot(widen(x), dx), 1e-6);
}

TEST(Gradients, EmbeddingScattersEveryPositionOnce) {
  ThreadPool pool(2);
  const std::int64_t h = 300, ids_in_table = 6;
  const std::vector<std::int32_t> ids = {4, 1, 4, 4, 0, 1, 5, 5};
  const std::int64_t starts[] = {0, 4, 4, 8};
  const Floats dy = uniform(static_cast<std::int64_t>(ids.size()) * h, 10);
  Floats dtable = uniform(ids_in_table * h, 11), expected = dtable;
  embedding_grad(pool, 3, starts, h, ids.data(), dy.data(), dtable.data());
  for (int r = 0; r < 3; ++r)
    for (std::int32_t id = 0; id < ids_in_table; ++id)
      for (std::int64_t c = 0; c < h; ++c) {
        float sum = 0;
        bool found = false;
        for (std::int64_t t = starts[r]; t < starts[r + 1]; ++t)
          if (ids[static_cast<std::size_t>(t)] == id) {
            sum += dy[static_cast<std::size_t>(t * h + c)];
            found = true;
          }
        if (found) expected[static_cast<std::size_t>(id * h + c)] += sum;
      }
  EXPECT_TRUE(same_bits(dtable, expected));
}

}  // namespace
}  // namespace aftune::kernels
