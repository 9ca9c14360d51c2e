// The products of profile f32 against the CPU.

#include "kernels/cuda/products.h"

#include "gpu/device.h"
#include "kernels/ops.h"

namespace aftune::kernels {
namespace {

using Starts = std::vector<std::int64_t>;

struct Size {
  std::int64_t n, in, out;
};

class Products : public OnSchedules {
 protected:
  static void expect_same(const Size& size, bool add) {
    const auto [n, in, out] = size;
    const Into into = add ? Into::kAdd : Into::kStore;
    const Floats x = awkward(n * in, 1), w = awkward(out * in, 2), dy = awkward(n * out, 3);
    Floats y = awkward(n * out, 4), dx = awkward(n * in, 5);
    const FloatsOnDevice x_on(x), w_on(w), dy_on(dy), y_on(y), dx_on(dx);
    linear(one_thread(), n, in, out, x.data(), w.data(), y.data(), into);
    cuda::linear(nullptr, n, in, out, x_on.data(), w_on.data(), y_on.data(), add);
    EXPECT_TRUE(same_bits(y, y_on.get())) << n << " " << in << " " << out;
    linear_grad_input(one_thread(), n, in, out, dy.data(), w.data(), dx.data(), into);
    cuda::linear_grad_input(nullptr, n, in, out, dy_on.data(), w_on.data(), dx_on.data(), add);
    EXPECT_TRUE(same_bits(dx, dx_on.get())) << n << " " << in << " " << out;
  }

  static void expect_same_grad_weight(const Starts& row_starts, std::int64_t in, std::int64_t out) {
    const auto rows = static_cast<std::int64_t>(row_starts.size()) - 1;
    const Floats dy = awkward(row_starts.back() * out, 6), x = awkward(row_starts.back() * in, 7);
    Floats dw = awkward(out * in, 8);
    const FloatsOnDevice dy_on(dy), x_on(x), dw_on(dw);
    const OnDevice<std::int64_t> starts_on(row_starts);
    linear_grad_weight(one_thread(), rows, row_starts.data(), in, out, dy.data(), x.data(), dw.data());
    cuda::linear_grad_weight(nullptr, rows, starts_on.data(), in, out, dy_on.data(), x_on.data(),
                             dw_on.data());
    EXPECT_TRUE(same_bits(dw, dw_on.get())) << rows << " rows, " << in << " " << out;
  }
};
AFTUNE_FOR_SCHEDULES(Products);

TEST_P(Products, LinearAndGradInput) {
  const std::vector<Size> sizes = unless_sanitized<Size>(
      {{1, 1, 1}, {1, 100, 33}, {5, 31, 65}, {64, 32, 64}, {33, 1000, 5}, {65, 17, 129}, {2, 1025, 66}},
      {{1, 33, 5}, {65, 17, 66}});
  for (const Size& size : sizes)
    for (const bool add : {false, true}) expect_same(size, add);
}

TEST_P(Products, NothingInOrOut) {
  for (const Size& size : {Size{0, 5, 7}, Size{5, 0, 7}, Size{5, 7, 0}})
    for (const bool add : {false, true}) expect_same(size, add);
}

TEST_P(Products, LargeTiles) {
  if (kSanitized) GTEST_SKIP() << "the small tiles have the same code";
  expect_same({1030, 21, 1025}, true);
  expect_same_grad_weight({0, 5, 22}, 1024, 1027);
}

TEST_P(Products, GradWeight) {
  const std::vector<Starts> batches = unless_sanitized<Starts>(
      {{0, 1}, {0, 31, 32, 32, 65}, {0, 0}, {0, 16, 33, 100}, {0, 1, 2, 3}}, {{0, 5, 5, 38}});
  for (const Starts& starts : batches) {
    expect_same_grad_weight(starts, 1, 1);
    expect_same_grad_weight(starts, 65, 33);
  }
  expect_same_grad_weight({0}, 3, 4);
}

TEST_P(Products, NonFiniteValuesStay) {
  for (const float bad : {kNan, kInf, -kInf}) {
    Floats x = awkward(3 * 20, 9), w = awkward(70 * 20, 10), y(3 * 70);
    x[25] = bad;
    const FloatsOnDevice x_on(x), w_on(w), y_on(3 * 70);
    linear(one_thread(), 3, 20, 70, x.data(), w.data(), y.data());
    cuda::linear(nullptr, 3, 20, 70, x_on.data(), w_on.data(), y_on.data(), false);
    EXPECT_TRUE(same_bits(y, y_on.get()));
    EXPECT_FALSE(std::isfinite(y[70]));
    EXPECT_TRUE(std::isfinite(y[0]) && std::isfinite(y[140]));
  }
}

}  // namespace
}  // namespace aftune::kernels
