// The products of profile i14 against the CPU, and the digits of their factors against what they stand for.

#include "kernels/cuda/i14.h"

#include "base/error.h"
#include "gpu/device.h"
#include "kernels/cuda/i14_by_cublas.h"
#include "kernels/i14.h"

namespace aftune::kernels {
namespace {

using Starts = std::vector<std::int64_t>;

/// A plan and its groups on the device.
class PlanOnDevice {
 public:
  PlanOnDevice(const Starts& chain_starts, int group)
      : plan_(cuda::plan_i14(static_cast<std::int64_t>(chain_starts.size()) - 1, chain_starts.data(), group)),
        groups_(plan_.groups) {}
  const cuda::I14Plan& plan() const { return plan_; }
  cuda::I14Depth depth() const {
    return {plan_.group, plan_.chunks, static_cast<std::int64_t>(plan_.groups.size()), groups_.data()};
  }

 private:
  cuda::I14Plan plan_;
  OnDevice<cuda::I14Group> groups_;
};

class FactorOnDevice {
 public:
  FactorOnDevice(const PlanOnDevice& of, std::int64_t extent)
      : extent_(extent),
        high_(static_cast<std::int64_t>(cuda::i14_plane_bytes(of.plan(), extent))),
        low_(static_cast<std::int64_t>(cuda::i14_plane_bytes(of.plan(), extent))),
        scales_(static_cast<std::int64_t>(cuda::i14_scale_count(of.plan(), extent))) {}
  cuda::I14Planes planes() const { return {extent_, high_.data(), low_.data(), scales_.data()}; }
  std::vector<std::int8_t> high() const { return high_.get(); }
  std::vector<std::int8_t> low() const { return low_.get(); }

 private:
  std::int64_t extent_;
  OnDevice<std::int8_t> high_, low_;
  OnDevice<float> scales_;
};

/// The library; the emulator has one of its own. Null where a machine with a GPU has none.
cuda::Cublas* cublas() {
  static const std::unique_ptr<cuda::Cublas> opened =
      cuda::Cublas::is_there() ? std::make_unique<cuda::Cublas>(nullptr) : nullptr;
  return opened.get();
}

void expect_product_by_cublas(const PlanOnDevice& plan, const FactorOnDevice& a, const FactorOnDevice& b,
                              const Floats& before, const Floats& expected, bool add) {
  if (cublas() == nullptr) return;
  const cuda::I14Planes left = a.planes(), right = b.planes();
  const FloatsOnDevice c(before);
  const OnDevice<std::byte> workspace(
      static_cast<std::int64_t>(cuda::i14_workspace_bytes(plan.plan().group, left.extent, right.extent)));
  cuda::multiply_i14_by_cublas(nullptr, *cublas(), plan.plan(), left, right, c.data(), add, workspace.data());
  EXPECT_TRUE(same_bits(expected, c.get())) << left.extent << " " << right.extent;
}

/// A product of factors whose indices are rows or columns of a tensor, in all ways of multiplying.
void expect_product(const PlanOnDevice& plan, std::int64_t depth, std::int64_t rows, const Floats& left,
                    bool left_columns, std::int64_t cols, const Floats& right, bool right_columns,
                    const Floats& before, const Floats& expected, bool add) {
  const FloatsOnDevice left_on(left), right_on(right), c(before), plain_c(before);
  const FactorOnDevice a(plan, rows), b(plan, cols);
  const auto quantise = [&](const FactorOnDevice& to, const FloatsOnDevice& x, bool columns) {
    if (columns)
      cuda::quantise_i14_columns(nullptr, plan.depth(), x.data(), to.planes());
    else
      cuda::quantise_i14_rows(nullptr, plan.depth(), depth, x.data(), to.planes());
  };
  quantise(a, left_on, left_columns);
  quantise(b, right_on, right_columns);
  cuda::multiply_i14(nullptr, plan.depth(), a.planes(), b.planes(), c.data(), add);
  cuda::multiply_i14_plainly(nullptr, plan.depth(), a.planes(), b.planes(), plain_c.data(), add);
  EXPECT_TRUE(same_bits(expected, c.get())) << rows << " " << cols << " " << depth;
  EXPECT_TRUE(same_bits(expected, plain_c.get())) << rows << " " << cols << " " << depth;
  expect_product_by_cublas(plan, a, b, before, expected, add);
}

class I14 : public OnSchedules {};
AFTUNE_FOR_SCHEDULES(I14);

struct Size {
  std::int64_t n, in, out;
};
void expect_linear(const Size& size, const Floats& x, const Floats& w, int group, bool add) {
  const auto [n, in, out] = size;
  const Floats before = awkward(n * out, 3);
  Floats y = before;
  linear_i14(one_thread(), n, in, out, x.data(), w.data(), y.data(), add ? Into::kAdd : Into::kStore, group);
  expect_product({{0, in}, group}, in, n, x, false, out, w, false, before, y, add);
}

void expect_grad_input(const Size& size, int group, bool add) {
  const auto [n, in, out] = size;
  const Floats dy = awkward(n * out, 4), w = awkward(out * in, 5), before = awkward(n * in, 6);
  Floats dx = before;
  linear_grad_input_i14(one_thread(), n, in, out, dy.data(), w.data(), dx.data(),
                        add ? Into::kAdd : Into::kStore, group);
  expect_product({{0, out}, group}, out, n, dy, false, in, w, true, before, dx, add);
}

TEST_P(I14, LinearAndGradInput) {
  const std::vector<Size> sizes = unless_sanitized<Size>({{1, 1, 1},
                                                          {3, 31, 5},
                                                          {17, 129, 66},
                                                          {65, 256, 33},
                                                          {2, 1000, 9},
                                                          {8, 1025, 18},
                                                          {4, 0, 3},
                                                          {9, 0, 3}},
                                                         {{1, 33, 5}, {5, 40, 3}, {65, 257, 3}});
  for (const Size& size : sizes)
    for (const bool add : {false, true}) {
      expect_linear(size, awkward(size.n * size.in, 1), awkward(size.out * size.in, 2), 256, add);
      expect_grad_input({size.n, size.out, size.in}, 128, add);
    }
}

TEST_P(I14, EveryGroup) {
  for (const int group : kI14Groups)
    for (const std::int64_t depth :
         unless_sanitized<std::int64_t>({group - 1, group, group + 1, 2 * group + 40}, {group + 1})) {
      const Size size = {10, depth, 10};
      expect_linear(size, awkward(size.n * depth, 7), awkward(size.out * depth, 8), group, false);
      expect_grad_input({3, 35, depth}, group, false);
    }
}

TEST_P(I14, MoreThanOneTileOfTheLibrary) {
  for (const Size& size : unless_sanitized<Size>({{9, 40, 4100}, {4100, 40, 9}}, {}))
    expect_linear(size, awkward(size.n * size.in, 5), awkward(size.out * size.in, 6), 128, true);
}

// All the largest integers: no sum may pass 2^31, and step 3 of quantise-i14/1 applies.
TEST_P(I14, FlatGroups) {
  for (const int group : kI14Groups) {
    const auto full = [group](std::int64_t n) { return Floats(static_cast<std::size_t>(n * group), -3.5f); };
    Floats alternating = full(3);
    for (std::size_t i = 0; i < alternating.size(); i += 2) alternating[i] = 3.5f;
    for (const std::int64_t rows : {2, 9}) {
      expect_linear({rows, group, 3}, full(rows), full(3), group, false);
      expect_linear({rows, group, 3}, full(rows), alternating, group, false);
    }
  }
}

TEST_P(I14, GradWeight) {
  const std::vector<Starts> batches = unless_sanitized<Starts>(
      {{0, 1}, {0, 31, 32, 32, 170, 430}, {0, 0}, {0, 256, 512}, {0, 1, 2, 3}}, {{0, 5, 5, 140}});
  for (const Starts& starts : batches)
    for (const Size& size : {Size{0, 1, 1}, Size{0, 66, 35}}) {
      const std::int64_t tokens = starts.back(), in = size.in, out = size.out;
      const auto rows = static_cast<std::int64_t>(starts.size()) - 1;
      const Floats dy = awkward(tokens * out, 9), x = awkward(tokens * in, 10),
                   before = awkward(out * in, 11);
      Floats dw = before;
      linear_grad_weight_i14(one_thread(), rows, starts.data(), in, out, dy.data(), x.data(), dw.data(), 128);
      expect_product({starts, 128}, tokens, out, dy, true, in, x, true, before, dw, true);
    }
}

TEST_P(I14, NonFiniteAndTinyGroups) {
  const std::int64_t depth = 300;
  for (const float bad : {kNan, kInf, -kInf}) {
    for (const std::int64_t rows : {3, 9}) {
      Floats x = awkward(rows * depth, 12), w = awkward(5 * depth, 13);
      x[depth + 299] = bad;
      w[2 * depth] = bad;
      expect_linear({rows, depth, 5}, x, w, 256, true);
    }
  }
  // Nothing but zeros, and values that are too small to be told from them.
  Floats x(static_cast<std::size_t>(2 * depth), -0.0f);
  for (std::size_t i = 0; i < depth; ++i) x[i] = 0x1p-101f;
  expect_linear({2, depth, 3}, x, awkward(3 * depth, 14), 256, false);
}

// q = 128 high + low for every q there is, with digits that also fit a byte after they have been added. A
// group is scaled by its first element to itself; so few others leave it within the norm.
TEST_P(I14, DigitsFitBytes) {
  const std::int64_t depth = 32, others = depth - 2, values = 2 * 8127 + 1;
  const std::int64_t rows = (values + others - 1) / others;
  Floats x(static_cast<std::size_t>(rows * depth), 0.0f);
  const auto at = [=](std::int64_t i) {
    return static_cast<std::size_t>(i / others * depth + 1 + i % others);
  };
  for (std::int64_t r = 0; r < rows; ++r) x[static_cast<std::size_t>(r * depth)] = 8127.0f;
  for (std::int64_t i = 0; i < values; ++i) x[at(i)] = static_cast<float>(i - 8127);
  const PlanOnDevice plan({0, depth}, 128);
  const FactorOnDevice factor(plan, rows);
  const FloatsOnDevice x_on(x);
  cuda::quantise_i14_rows(nullptr, plan.depth(), depth, x_on.data(), factor.planes());
  const std::vector<std::int8_t> high = factor.high(), low = factor.low();
  for (std::int64_t i = 0; i < values; ++i) {
    const int h = high[at(i)], l = low[at(i)];
    EXPECT_EQ(128 * h + l, i - 8127);
    EXPECT_TRUE(h >= -63 && h <= 63 && l >= -64 && l <= 63 && h + l >= -127 && h + l <= 126) << i;
  }
}

#if !defined(AFTUNE_ON_GPU)
TEST(EmulatedCublas, RefusesWhatTheLibraryHasNoKernelsFor) {
  ASSERT_NE(cublas(), nullptr) << "AFTUNE_CUBLAS names the library that stands in for cuBLAS";
  EXPECT_EQ(cublas()->version(), "cuBLAS 0.12.3");
  const OnDevice<std::int8_t> a(64), b(64);
  const OnDevice<std::int32_t> c(16);
  cublas()->multiply_int8(3, 4, 16, a.data(), b.data(), c.data());
  const auto refused = [&](std::int64_t cols, std::int64_t depth, std::int64_t misaligned) {
    try {
      cublas()->multiply_int8(1, cols, depth, a.data() + misaligned, b.data(), c.data());
      return false;
    } catch (const Error& e) {
      return e.fault() == Fault::kDevice &&
             std::string(e.what()) == "cuBLAS: 8-bit product: the functionality requested is not supported";
    }
  };
  EXPECT_TRUE(refused(3, 16, 0));
  EXPECT_TRUE(refused(4, 15, 0));
  EXPECT_TRUE(refused(4, 16, 1));
}
#endif

TEST(I14Plan, CutsChainsFromTheirStarts) {
  const std::int64_t starts[] = {0, 300, 300, 428};
  const cuda::I14Plan plan = cuda::plan_i14(3, starts, 256);
  ASSERT_EQ(plan.groups.size(), 4u);
  const std::int64_t expected[4][4] = {{0, 0, 256, 0}, {256, 8, 44, 1}, {300, 10, 0, 1}, {300, 10, 128, 1}};
  for (std::size_t g = 0; g < 4; ++g) {
    EXPECT_EQ(plan.groups[g].start, expected[g][0]);
    EXPECT_EQ(plan.groups[g].chunk, expected[g][1]);
    EXPECT_EQ(plan.groups[g].length, expected[g][2]);
    EXPECT_EQ(plan.groups[g].ends, expected[g][3]);
  }
  EXPECT_EQ(plan.chunks, 14);
}

}  // namespace
}  // namespace aftune::kernels
