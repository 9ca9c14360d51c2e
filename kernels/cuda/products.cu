// A block of threads forms a square tile of the product. Depth comes in slices through shared memory: while
// one is multiplied, each thread already holds its part of the next one in registers. Every element is one
// thread's chain, so that no order is left to choose.

#include "kernels/cuda/products.h"

#include "kernels/cuda/device.cuh"
#include "kernels/target.h"

namespace aftune::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kSide = 16;   // of the square of threads
constexpr int kSlice = 16;  // depths at once

/// Element (index, depth) is data[depth * stride + index] if depth is outer, else data[index * stride +
/// depth].
struct Factor {
  const float* data;
  std::int64_t stride;
};

struct Product {
  std::int64_t rows, cols;
  std::int64_t depth;                ///< of the only chain, or
  std::int64_t chains;               ///< how many there are,
  const std::int64_t* chain_starts;  ///< with these chains + 1 offsets
  Factor left, right;
  float* c;
  bool add;
};

/// A slice of both factors. Rows are longer than the tile, so that their starts lie in different banks.
template <int kTile>
struct Slice {
  static constexpr int kRow = kTile + 4;
  float left[kSlice][kRow], right[kSlice][kRow];
};
template <int kTile>
struct Slices {
  alignas(16) Slice<kTile> of[2];
};

/// A thread's part of a slice of one factor, on its way to shared memory. kEach elements of a tile that is
/// kEach * kSide wide; consecutive threads take what is consecutive in memory.
template <int kEach, bool kDepthOuter>
struct Part {
  float values[kEach];

  static constexpr int kTile = kEach * kSide;
  // From one element of a thread to its next one.
  static constexpr int kIndexStep = kDepthOuter ? 0 : kThreads / kSlice;
  static constexpr int kDepthStep = kDepthOuter ? kThreads / kTile : 0;

  AFTUNE_OP static int index(int i) {
    const int thread = static_cast<int>(threadIdx.x);
    return (kDepthOuter ? thread % kTile : thread / kSlice) + i * kIndexStep;
  }
  AFTUNE_OP static int depth(int i) {
    const int thread = static_cast<int>(threadIdx.x);
    return (kDepthOuter ? thread / kTile : thread % kSlice) + i * kDepthStep;
  }

  /// Zeros stand for what lies outside: on both sides, so that they add nothing to a chain.
  AFTUNE_OP void load(const Factor& from, std::int64_t first, std::int64_t extent, std::int64_t start,
                      std::int64_t end) {
    const std::int64_t at = first + index(0), k = start + depth(0);
    const float* data = from.data + (kDepthOuter ? k * from.stride + at : at * from.stride + k);
    AFTUNE_UNROLL
    for (int i = 0; i < kEach; ++i) {
      values[i] = at + i * kIndexStep < extent && k + i * kDepthStep < end ? *data : 0.0f;
      data += from.stride * (kIndexStep + kDepthStep);
    }
  }

  template <int kRow>
  AFTUNE_OP void store(float (&to)[kSlice][kRow]) const {
    AFTUNE_UNROLL
    for (int i = 0; i < kEach; ++i) to[depth(i)][index(i)] = values[i];
  }
};

/// Which of a tile's rows, or columns, is the i-th of the kEach that a thread has: fours, spread over the
/// tile.
template <int kEach>
AFTUNE_OP int own(int thread, int i) {
  return i / 4 * (4 * kSide) + thread * 4 + i % 4;
}

template <int kEach>
AFTUNE_OP void load_own(const float* row, int thread, float (&to)[kEach]) {
  AFTUNE_UNROLL
  for (int i = 0; i < kEach; i += 4) {
    const float4 four = *reinterpret_cast<const float4*>(row + own<kEach>(thread, i));
    to[i] = four.x;
    to[i + 1] = four.y;
    to[i + 2] = four.z;
    to[i + 3] = four.w;
  }
}

template <int kEach>
AFTUNE_OP void multiply_slice(const Slice<kEach * kSide>& slice, float (&acc)[kEach][kEach]) {
  const int row = static_cast<int>(threadIdx.x) / kSide, col = static_cast<int>(threadIdx.x) % kSide;
  AFTUNE_UNROLL_2
  for (int k = 0; k < kSlice; ++k) {
    float left[kEach], right[kEach];
    load_own(slice.left[k], row, left);
    load_own(slice.right[k], col, right);
    AFTUNE_UNROLL
    for (int i = 0; i < kEach; ++i) {
      AFTUNE_UNROLL
      for (int j = 0; j < kEach; ++j) acc[i][j] = fma32(left[i], right[j], acc[i][j]);
    }
  }
}

/// The ends of a tile's chains: they are stored, or added to what is there.
template <int kEach>
AFTUNE_OP void finish(const Product& product, std::int64_t first_row, std::int64_t first_col,
                      const float (&acc)[kEach][kEach]) {
  const int row = static_cast<int>(threadIdx.x) / kSide, col = static_cast<int>(threadIdx.x) % kSide;
  AFTUNE_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const std::int64_t r = first_row + own<kEach>(row, i);
    AFTUNE_UNROLL
    for (int j = 0; j < kEach; ++j) {
      const std::int64_t c = first_col + own<kEach>(col, j);
      if (r >= product.rows || c >= product.cols) continue;
      float* const to = product.c + r * product.cols + c;
      const float result = acc[i][j] + 0.0f;
      *to = product.add ? *to + result : result;
    }
  }
}

template <int kEach, bool kLeftDepthOuter, bool kRightDepthOuter>
__global__ void __launch_bounds__(kThreads) multiply_tiles(const Product product) {
  constexpr int kTile = kEach * kSide;
  using Shared = Slices<kTile>;
  AFTUNE_SHARED(Shared, slices);
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.y) * kTile;
  const std::int64_t col = static_cast<std::int64_t>(blockIdx.x) * kTile;
  Part<kEach, kLeftDepthOuter> left;
  Part<kEach, kRightDepthOuter> right;
  int buffer = 0;
  for (std::int64_t chain = 0; chain < product.chains; ++chain) {
    const bool only = product.chain_starts == nullptr;
    const std::int64_t end = only ? product.depth : product.chain_starts[chain + 1];
    std::int64_t k = only ? 0 : product.chain_starts[chain];
    float acc[kEach][kEach] = {};
    left.load(product.left, row, product.rows, k, end);
    right.load(product.right, col, product.cols, k, end);
    for (; k < end; k += kSlice) {
      // Who is still at the other buffer passed the last barrier, and so is done with this one.
      Slice<kTile>& slice = slices.of[buffer];
      left.store(slice.left);
      right.store(slice.right);
      __syncthreads();
      left.load(product.left, row, product.rows, k + kSlice, end);
      right.load(product.right, col, product.cols, k + kSlice, end);
      multiply_slice<kEach>(slice, acc);
      buffer ^= 1;
    }
    finish(product, row, col, acc);
  }
}

template <int kEach, bool kLeftDepthOuter, bool kRightDepthOuter>
void launch_tiles(Stream stream, const Product& product) {
  constexpr std::int64_t kTile = kEach * kSide;
  const dim3 grid(static_cast<unsigned>((product.cols + kTile - 1) / kTile),
                  static_cast<unsigned>((product.rows + kTile - 1) / kTile));
  launch(multiply_tiles<kEach, kLeftDepthOuter, kRightDepthOuter>, grid, kThreads, 0, stream, product);
}

template <bool kLeftDepthOuter, bool kRightDepthOuter>
void multiply(Stream stream, const Product& product) {
  if (product.rows == 0 || product.cols == 0) return;
  // Large tiles read less, small ones give every processor some.
  constexpr std::int64_t kLarge = 8 * kSide, kEnoughTiles = 64;
  if ((product.rows / kLarge) * (product.cols / kLarge) >= kEnoughTiles)
    launch_tiles<8, kLeftDepthOuter, kRightDepthOuter>(stream, product);
  else
    launch_tiles<4, kLeftDepthOuter, kRightDepthOuter>(stream, product);
}

// --- Few rows, as in decoding: each weight is used once or a few times, so that all that counts is how many
// of them are on their way. A block forms 32 columns; all its warps bring weights, a warp then has the chains
// of one row, a lane those of one column.

constexpr int kFewRows = kThreads / 32, kFewCols = 32;
constexpr int kFewSlice = 128;

struct FewSlice {
  float left[kFewRows][kFewSlice];
  float right[kFewSlice][kFewCols + 1];  // by depth, lanes in different banks both ways
};
struct FewSlices {
  FewSlice of[2];
};

/// A thread's part of a slice, on its way to shared memory.
struct FewPart {
  static constexpr int kLeft = kFewRows * kFewSlice / kThreads, kRight = kFewCols * kFewSlice / kThreads;
  float left[kLeft], right[kRight];

  static constexpr int kIndexStep = kThreads / kFewSlice;

  AFTUNE_OP static int index(int i) { return static_cast<int>(threadIdx.x) / kFewSlice + i * kIndexStep; }
  AFTUNE_OP static int depth() { return static_cast<int>(threadIdx.x) % kFewSlice; }

  template <int kCount>
  AFTUNE_OP static void load(const Factor& from, std::int64_t first, std::int64_t extent, std::int64_t k,
                             std::int64_t end, float (&to)[kCount]) {
    const std::int64_t at = first + index(0);
    const float* data = from.data + at * from.stride + k;
    AFTUNE_UNROLL
    for (int i = 0; i < kCount; ++i) {
      to[i] = at + i * kIndexStep < extent && k < end ? *data : 0.0f;
      data += from.stride * kIndexStep;
    }
  }

  AFTUNE_OP void load(const Product& product, std::int64_t col, std::int64_t start) {
    load(product.left, 0, product.rows, start + depth(), product.depth, left);
    load(product.right, col, product.cols, start + depth(), product.depth, right);
  }

  AFTUNE_OP void store(FewSlice& to) const {
    AFTUNE_UNROLL
    for (int i = 0; i < kLeft; ++i) to.left[index(i)][depth()] = left[i];
    AFTUNE_UNROLL
    for (int i = 0; i < kRight; ++i) to.right[depth()][index(i)] = right[i];
  }
};

__global__ void __launch_bounds__(kThreads) multiply_few_rows(const Product product) {
  AFTUNE_SHARED(FewSlices, slices);
  const int row = static_cast<int>(threadIdx.x) / kFewCols, lane = static_cast<int>(threadIdx.x) % kFewCols;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kFewCols;
  FewPart next;
  next.load(product, first, 0);
  float acc = 0.0f;
  int buffer = 0;
  for (std::int64_t start = 0; start < product.depth; start += kFewSlice) {
    FewSlice& slice = slices.of[buffer];
    next.store(slice);
    __syncthreads();
    next.load(product, first, start + kFewSlice);
    if (row < product.rows) {
      AFTUNE_UNROLL_8
      for (int k = 0; k < kFewSlice; ++k) acc = fma32(slice.left[row][k], slice.right[k][lane], acc);
    }
    buffer ^= 1;
  }
  if (row >= product.rows || first + lane >= product.cols) return;
  float* const to = product.c + row * product.cols + first + lane;
  const float result = acc + 0.0f;
  *to = product.add ? *to + result : result;
}

}  // namespace

void linear(Stream stream, std::int64_t n, std::int64_t in, std::int64_t out, const float* x, const float* w,
            float* y, bool add) {
  const Product product = {n, out, in, 1, nullptr, {x, in}, {w, in}, y, add};
  if (n > kFewRows || n == 0 || out == 0) return multiply<false, false>(stream, product);
  launch(multiply_few_rows, static_cast<unsigned>((out + kFewCols - 1) / kFewCols), kThreads, 0, stream,
         product);
}

void linear_grad_input(Stream stream, std::int64_t n, std::int64_t in, std::int64_t out, const float* dy,
                       const float* w, float* dx, bool add) {
  multiply<false, true>(stream, {n, in, out, 1, nullptr, {dy, out}, {w, in}, dx, add});
}

void linear_grad_weight(Stream stream, std::int64_t rows, const std::int64_t* row_starts, std::int64_t in,
                        std::int64_t out, const float* dy, const float* x, float* dw) {
  if (rows == 0) return;
  multiply<true, true>(stream, {out, in, 0, rows, row_starts, {dy, out}, {x, in}, dw, true});
}

}  // namespace aftune::kernels::cuda
