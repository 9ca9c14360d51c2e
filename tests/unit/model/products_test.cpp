#include "model/products.h"

#include <gtest/gtest.h>

#include <cstring>

namespace aftune::model {
namespace {

constexpr std::int64_t kIn = 37, kOut = 300, kTokens = 9;
const std::vector<std::int64_t> kRows = {0, 4, 4, kTokens};

Buffer waves(std::int64_t count, int step) {
  Buffer b(count);
  for (std::int64_t i = 0; i < count; ++i) b[i] = static_cast<float>(i * step % 101) / 50.0f - 1.0f;
  return b;
}

Matrix matrix(std::int64_t rows, std::int64_t cols, int step) {
  Matrix m(rows, cols);
  m.values = waves(rows * cols, step);
  return m;
}

Buffer turned(const Buffer& from, std::int64_t rows, std::int64_t cols) {
  Buffer to(from.size());
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c) to[c * rows + r] = from[r * cols + c];
  return to;
}

bool same(const Buffer& a, const Buffer& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.bytes().size()) == 0;
}

struct Results {
  Matrix y, dx, added;
  Buffer dw;
};

Results run(const kernels::Profile& profile, const Buffer& values, const Buffer& dw, bool transposed) {
  ThreadPool pool(2);
  Products products(pool, profile);
  const Weight w{"w", values, kOut, kIn, transposed};
  const Matrix x = matrix(kTokens, kIn, 37), dy = matrix(kTokens, kOut, 31);
  Results r;
  r.dw = dw.clone(pool);
  r.dx = Matrix(kTokens, kIn);
  r.added = matrix(kTokens, kIn, 7);
  Products::Input input(products, x);
  r.y = products.linear(w, input);
  products.grad_weight(w, kRows, dy, input, r.dw);
  products.grad_input(w, dy, r.dx, kernels::Into::kStore);
  products.grad_input(w, dy, r.added, kernels::Into::kAdd);
  return r;
}

class ProductsBits : public testing::TestWithParam<const char*> {};

TEST_P(ProductsBits, DoNotDependOnHowAWeightIsStored) {
  const kernels::Profile profile = *kernels::profile_from_name(GetParam());
  const Buffer w = waves(kOut * kIn, 41), dw = waves(kOut * kIn, 29);
  const Results plain = run(profile, w, dw, false);
  const Results other = run(profile, turned(w, kOut, kIn), turned(dw, kOut, kIn), true);
  EXPECT_TRUE(same(plain.y.values, other.y.values));
  EXPECT_TRUE(same(plain.dx.values, other.dx.values));
  EXPECT_TRUE(same(plain.added.values, other.added.values));
  EXPECT_TRUE(same(turned(plain.dw, kOut, kIn), other.dw));
}

INSTANTIATE_TEST_SUITE_P(Profiles, ProductsBits, testing::Values("f32", "i14:128", "i14"));

}  // namespace
}  // namespace aftune::model
