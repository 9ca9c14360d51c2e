#include "kernels/cpu/few_rows.h"

#include "kernels/cpu/transpose.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

// Depths whose columns of the right factor are made from its rows at once.
#if defined(__AVX512F__)
constexpr int kStep = 16;
#elif defined(__AVX2__)
constexpr int kStep = 4;
#else
constexpr int kStep = 1;
#endif

/// Vectors of columns. Scalar code needs several chains to keep the units busy; otherwise one is best: more
/// rows at once do not stay in the first-level cache together where they lie a multiple of a page apart.
template <int kRows>
constexpr int vecs_for() {
  return kVecWidth > 1 ? 1 : kRows <= 2 ? 4 : 2;
}

/// Element (i, k) of kVecWidth rows becomes to[k][i].
AFTUNE_OP void columns_of(const float* from, std::int64_t stride, Vec (&to)[kStep]) {
#if defined(__AVX512F__)
  transpose_sixteen(from, stride, to);
#elif defined(__AVX2__)
  transpose_four<kVecWidth>(from, stride, to);
#else
  static_cast<void>(stride);
  to[0] = *from;
#endif
}

/// kRows chains for each of kVecs * kVecWidth columns, from the first depth on.
template <int kRows, int kVecs>
struct Chains {
  static constexpr int kCols = kVecs * kVecWidth;
  Vec at[kRows][kVecs];

  AFTUNE_OP void clear() {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; ++v) at[r][v] = zero();
  }

  AFTUNE_OP void step(const float* left, const float* right, std::int64_t right_stride) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; ++v) {
      Vec column[kStep];
      columns_of(right + v * kVecWidth * right_stride, right_stride, column);
#pragma GCC unroll 16
      for (int k = 0; k < kStep; ++k)
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r)
          at[r][v] = multiply_add(broadcast(left[k * kRows + r]), column[k], at[r][v]);
    }
  }

  AFTUNE_OP void last_steps(std::int64_t count, const float* left, const float* right,
                            std::int64_t right_stride) {
    for (std::int64_t k = 0; k < count; ++k)
      for (int v = 0; v < kVecs; ++v) {
        alignas(64) float column[kVecWidth];
        for (int i = 0; i < kVecWidth; ++i) column[i] = right[(v * kVecWidth + i) * right_stride + k];
        for (int r = 0; r < kRows; ++r)
          at[r][v] = multiply_add(broadcast(left[k * kRows + r]), load(column), at[r][v]);
      }
  }
};

/// To the second-level cache: in the first one what is fetched would push out the rows at hand.
template <int kFloats>
AFTUNE_OP void fetch(const float* p) {
#pragma GCC unroll 16
  for (int i = 0; i < kFloats; i += 16) __builtin_prefetch(p + i, 0, 2);
}

/// Columns [first, first + kCols) of c, of which only those from `from` on are stored. If the right factor's
/// rows lie close, a panel of them is one stretch of memory, and the next one is fetched in its order
/// meanwhile: processors do not foresee well where many rows, read side by side, go on.
template <int kRows, int kVecs, bool kClose>
AFTUNE_OP void multiply_panel(const FewRows& p, std::int64_t first, std::int64_t from) {
  using Panel = Chains<kRows, kVecs>;
  const float* right = p.right + first * p.right_stride;
  const float* next = first + 2 * Panel::kCols <= p.cols ? right + Panel::kCols * p.depth : right;
  Panel chains;
  chains.clear();
  std::int64_t k = 0;
  for (; k + kStep <= p.depth; k += kStep) {
    if constexpr (kClose) fetch<Panel::kCols * kStep>(next + k * Panel::kCols);
    chains.step(p.left + k * kRows, right + k, p.right_stride);
  }
  chains.last_steps(p.depth - k, p.left + k * kRows, right + k, p.right_stride);
  for (int r = 0; r < kRows; ++r) {
    alignas(64) float row[Panel::kCols];
    for (int v = 0; v < kVecs; ++v) store(row + v * kVecWidth, add(chains.at[r][v], zero()));
    float* c = p.c + r * p.c_stride;
    for (std::int64_t j = from; j < first + Panel::kCols; ++j)
      c[j] = p.adds ? c[j] + row[j - first] : row[j - first];
  }
}

// Fewer columns than a panel has.
void multiply_plain(const FewRows& p) {
  for (std::int64_t r = 0; r < p.rows; ++r)
    for (std::int64_t j = 0; j < p.cols; ++j) {
      float acc = 0.0f;
      for (std::int64_t k = 0; k < p.depth; ++k)
        acc = fma32(p.left[k * p.rows + r], p.right[j * p.right_stride + k], acc);
      float& c = p.c[r * p.c_stride + j];
      c = p.adds ? c + (acc + 0.0f) : acc + 0.0f;
    }
}

template <int kRows, bool kClose>
void multiply_rows(const FewRows& p) {
  constexpr int kVecs = vecs_for<kRows>(), kCols = Chains<kRows, kVecs>::kCols;
  if (p.cols < kCols) return multiply_plain(p);
  std::int64_t j = 0;
  for (; j + kCols <= p.cols; j += kCols) multiply_panel<kRows, kVecs, kClose>(p, j, j);
  // The last panel reaches back over columns that are done.
  if (j < p.cols) multiply_panel<kRows, kVecs, kClose>(p, p.cols - kCols, j);
}

template <int kRows = kFewRows>
AFTUNE_OP void multiply_so_many(const FewRows& p) {
  if (p.rows == kRows)
    p.right_stride == p.depth ? multiply_rows<kRows, true>(p) : multiply_rows<kRows, false>(p);
  else if constexpr (kRows > 1)
    multiply_so_many<kRows - 1>(p);
}

}  // namespace

void multiply_few(const FewRows& product) {
  multiply_so_many(product);
}

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
