#include "kernels/cpu/few_rows.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/cpu/tasks.h"
#include "kernels/cpu/workspace.h"

namespace aftune::kernels {
namespace {

// Of the right factor, in a task: few enough that threads end together, many enough that taking a task costs
// nothing beside it.
constexpr std::int64_t kFloatsPerTask = std::int64_t{1} << 17;
constexpr std::int64_t kFewestCols = 32;  // whole vectors of every instruction set

/// One row of x is as the kernels want it; of more, the elements of a depth are put side by side.
const float* left_of(const float* x, std::int64_t rows, std::int64_t depth) {
  if (rows == 1) return x;
  float* left = scratch(Scratch::kLeft, rows * depth);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t k = 0; k < depth; ++k) left[k * rows + r] = x[r * depth + k];
  return left;
}

void multiply_few(Isa isa, const FewRows& product) {
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512) return avx512::multiply_few(product);
  if (isa == Isa::kAvx2) return avx2::multiply_few(product);
#endif
  static_cast<void>(isa);
  scalar::multiply_few(product);
}

}  // namespace

void multiply_few(ThreadPool& pool, Isa isa, const float* x, FewRows product) {
  AFTUNE_CHECK(product.rows <= kFewRows);
  if (product.rows == 0) return;
  product.left = left_of(x, product.rows, product.depth);
  const std::int64_t depth = std::max<std::int64_t>(1, product.depth);
  const std::int64_t cols = std::max<std::int64_t>(1, kFloatsPerTask / depth / kFewestCols) * kFewestCols;
  const bool small = product.rows * product.cols * product.depth < kSmallProduct;
  run_tasks(pool, small, ceil_div(product.cols, cols), [&](std::int64_t task) {
    const std::int64_t first = task * cols;
    FewRows part = product;
    part.cols = std::min(cols, product.cols - first);
    part.right += first * product.right_stride;
    part.c += first;
    multiply_few(isa, part);
  });
}

}  // namespace aftune::kernels
