// The products of profile native: factors that are rounded to the bit, and what the library makes of them
// within a bound of the processor's.

#include "kernels/cuda/native.h"

#include "gpu/device.h"
#include "kernels/native.h"

namespace aftune::kernels {
namespace {

class Native : public OnSchedules {
 protected:
  void SetUp() override {
#if defined(AFTUNE_ON_GPU)
    if (!cuda::Cublas::is_there()) GTEST_SKIP() << "a machine with a GPU and without cuBLAS";
#else
    // The emulator always has the library that stands in for it.
    ASSERT_TRUE(cuda::Cublas::is_there()) << "AFTUNE_CUBLAS names it";
    OnSchedules::SetUp();
#endif
  }
};
AFTUNE_FOR_SCHEDULES(Native);

Floats multiplied(cuda::NativeProduct product, const Floats& left, const Floats& right,
                  const Floats& before) {
  static cuda::Cublas cublas(nullptr);
  const FloatsOnDevice left_on(left), right_on(right), c(before);
  product.left.values = left_on.data();
  product.right.values = right_on.data();
  product.c = c.data();
  const OnDevice<std::byte> workspace(static_cast<std::int64_t>(cuda::native_workspace_bytes(product)));
  cuda::multiply_native(nullptr, cublas, product, workspace.data());
  return c.get();
}

/// Element by element within a few units of what the processor says: both round f32 sums of the same terms.
void expect_near(const Floats& expected, const Floats& found, const std::vector<double>& left,
                 const std::vector<double>& right, std::int64_t depth) {
  ASSERT_EQ(expected.size(), found.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double far = 8 * native_unit(depth) * left[i / right.size()] * right[i % right.size()];
    EXPECT_NEAR(expected[i], found[i], far + 0x1p-23 * std::fabs(expected[i])) << i;
  }
}

struct Size {
  std::int64_t n, in, out;
};

TEST_P(Native, IsNearTheProcessorsProduct) {
  const std::vector<Size> sizes =
      unless_sanitized<Size>({{1, 1, 1}, {5, 31, 65}, {64, 32, 17}, {33, 1000, 5}, {3, 0, 4}}, {{5, 33, 7}});
  for (const auto& [n, in, out] : sizes)
    for (const bool add : {false, true}) {
      const Into into = add ? Into::kAdd : Into::kStore;
      const Floats x = awkward(n * in, 1), w = awkward(out * in, 2), dy = awkward(n * out, 3);
      Floats y = awkward(n * out, 4), dx = awkward(n * in, 5), dw = awkward(out * in, 6);
      const Floats y_before = y, dx_before = dx, dw_before = dw;
      linear_native(one_thread(), n, in, out, x.data(), w.data(), y.data(), into);
      expect_near(y, multiplied({n, out, in, {nullptr, in}, {nullptr, in}, nullptr, add}, x, w, y_before),
                  native_norms(one_thread(), n, in, x.data(), false),
                  native_norms(one_thread(), out, in, w.data(), false), in);
      linear_grad_input_native(one_thread(), n, in, out, dy.data(), w.data(), dx.data(), into);
      expect_near(
          dx, multiplied({n, in, out, {nullptr, out}, {nullptr, in, true}, nullptr, add}, dy, w, dx_before),
          native_norms(one_thread(), n, out, dy.data(), false),
          native_norms(one_thread(), in, out, w.data(), true), out);
      const std::int64_t starts[] = {0, n};
      linear_grad_weight_native(one_thread(), 1, starts, in, out, dy.data(), x.data(), dw.data());
      expect_near(dw,
                  multiplied({out, in, n, {nullptr, out, true}, {nullptr, in, true}, nullptr, true}, dy, x,
                             dw_before),
                  native_norms(one_thread(), out, n, dy.data(), true),
                  native_norms(one_thread(), in, n, x.data(), true), n);
    }
}

// One term each: nothing is rounded but the factors, so these are the processor's bits.
TEST_P(Native, RoundsItsFactorsToTheBit) {
  const Floats x = awkward(300, 7, 1e3f), one = {1.0f};
  const Floats found =
      multiplied({300, 1, 1, {nullptr, 1}, {nullptr, 1}, nullptr, false}, x, one, Floats(300));
  Floats expected(300);
  round_bf16(one_thread(), 300, x.data(), expected.data());
  for (float& e : expected) e += 0.0f;
  EXPECT_TRUE(same_bits(expected, found));
}

TEST_P(Native, PanelsFollowFromTheSizes) {
  const auto bytes = [](std::int64_t rows, std::int64_t cols, std::int64_t depth) {
    cuda::NativeProduct product;
    product.rows = rows;
    product.cols = cols;
    product.depth = depth;
    return cuda::native_workspace_bytes(product);
  };
  EXPECT_LT(bytes(10, 20, 30), 16u << 10);
  // 128 indices of each factor, and the product of them.
  EXPECT_LT(bytes(5000, 9000, 1 << 20), (std::size_t{2} * 128 << 21) + (1u << 17));
  EXPECT_LT(bytes(1 << 20, 1 << 20, 4096), std::size_t{400} << 20);
  if (kSanitized) return;
  // More than one panel of columns, and of rows.
  for (const auto& [n, in, out] : {Size{3, 5, 8200}, Size{4100, 5, 3}}) {
    const Floats x = uniform(n * in, 1), w = uniform(out * in, 2);
    Floats y(static_cast<std::size_t>(n * out));
    linear_native(one_thread(), n, in, out, x.data(), w.data(), y.data(), Into::kStore);
    expect_near(
        y, multiplied({n, out, in, {nullptr, in}, {nullptr, in}, nullptr, false}, x, w, Floats(y.size())),
        native_norms(one_thread(), n, in, x.data(), false),
        native_norms(one_thread(), out, in, w.data(), false), in);
  }
}

TEST_P(Native, NonFiniteValuesStay) {
  for (const float bad : {kNan, kInf, -kInf}) {
    Floats x = uniform(3 * 20, 9);
    x[25] = bad;
    const Floats y = multiplied({3, 7, 20, {nullptr, 20}, {nullptr, 20}, nullptr, false}, x,
                                uniform(7 * 20, 10), Floats(3 * 7));
    EXPECT_FALSE(std::isfinite(y[7]));
    EXPECT_TRUE(std::isfinite(y[0]) && std::isfinite(y[14]));
  }
}

}  // namespace
}  // namespace aftune::kernels
