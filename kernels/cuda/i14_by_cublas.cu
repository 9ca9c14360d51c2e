#include "kernels/cuda/i14_by_cublas.h"

#include <algorithm>

#include "kernels/cuda/i14_digits.cuh"
#include "kernels/target.h"

namespace aftune::kernels::cuda {
namespace {

// A tile of the product: large enough for the library's tensor cores, and so that what it takes is bounded.
constexpr std::int64_t kMostTile = 4096;
constexpr std::int64_t kBlock = 256;
constexpr std::int64_t kHalf = 16;  // bytes: what a thread moves at a time
constexpr int kSlices = 3;          // high, low and their sum

std::size_t aligned(std::size_t bytes) {
  constexpr std::size_t kAlignment = 256;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

unsigned blocks_for(std::int64_t n) {
  return static_cast<unsigned>((n + kBlock - 1) / kBlock);
}

/// Where the parts of a workspace are, for tiles of at most these sizes.
struct Workspace {
  std::int8_t *left[kSlices], *right[kSlices];  // [rows or cols, depth]
  std::int32_t* sums[kSlices];                  // [rows, padded cols]
  float* acc;                                   // the same: the chains so far
  std::size_t bytes = 0;

  Workspace(int group, std::int64_t rows, std::int64_t cols, std::byte* at) {
    const std::int64_t tile_rows = cublas_padded(std::min(rows, kMostTile));
    const std::int64_t tile_cols = cublas_padded(std::min(cols, kMostTile));
    const auto take = [&]<class T>(T*& part, std::int64_t count) {
      part = reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(at) + bytes);
      bytes += aligned(static_cast<std::size_t>(count) * sizeof(T));
    };
    for (int i = 0; i < kSlices; ++i) {
      take(left[i], tile_rows * group);
      take(right[i], tile_cols * group);
      take(sums[i], tile_rows * tile_cols);
    }
    take(acc, tile_rows * tile_cols);
  }
};

/// One group of the indices [first, first + extent) of a factor, each with its bytes in a row. Indices past
/// the end, up to a multiple of kCublasPad, are zeros.
struct Slice {
  std::int8_t *high, *low, *sum;
  std::int64_t first, extent, padded, depth;
};

__global__ void cut_slice(const I14Group group, const I14Planes from, const Slice to) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const std::int64_t halves = to.depth / kHalf;
  if (at >= to.padded * halves) return;
  const std::int64_t index = at / halves, half = at % halves;
  uint4 high = {0, 0, 0, 0}, low = {0, 0, 0, 0};
  // The planes have whole chunks, filled up with zeros; a group without indices has none.
  if (index < to.extent && half * kHalf < group.length) {
    const std::int64_t chunk = group.chunk + half * kHalf / kChunk;
    const std::int64_t source = (chunk * from.extent + to.first + index) * kChunk + half * kHalf % kChunk;
    high = *reinterpret_cast<const uint4*>(from.high + source);
    low = *reinterpret_cast<const uint4*>(from.low + source);
  }
  *reinterpret_cast<uint4*>(to.high + at * kHalf) = high;
  *reinterpret_cast<uint4*>(to.low + at * kHalf) = low;
  *reinterpret_cast<uint4*>(to.sum + at * kHalf) = add_bytes(high, low);
}

/// A tile's sums of one group, and where its chains go on.
struct Promotion {
  const std::int32_t *hh, *ll, *m;
  std::int64_t stride;      // of hh, ll, m and acc
  std::int64_t rows, cols;  // of the tile
  std::int64_t row, col;    // its first ones
  bool begins, ends, add;   // the chain, with this group; whether it is added to c
};

/// The sums become the next step of the chains.
__global__ void promote(const Promotion p, const float* left_scales, const float* right_scales, float* acc,
                        float* c, std::int64_t c_cols) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= p.rows * p.cols) return;
  const std::int64_t row = at / p.cols, col = at % p.cols, i = row * p.stride + col;
  const float scale = left_scales[p.row + row] * right_scales[p.col + col];
  const auto dot = static_cast<float>(whole_dot(p.hh[i], p.ll[i], p.m[i]));
  const float chain = fma32(dot, scale, p.begins ? 0.0f : acc[i]);
  if (p.ends)
    finish(c + (p.row + row) * c_cols + p.col + col, chain, p.add);
  else
    acc[i] = chain;
}

/// The factors and the product of one call.
struct Product {
  Stream stream;
  Cublas& cublas;
  const I14Plan& plan;
  const I14Planes &left, &right;
  float* c;
  bool add;
  Workspace at;

  void slice(const I14Group& group, const I14Planes& from, std::int8_t* const (&to)[kSlices],
             std::int64_t first, std::int64_t extent, std::int64_t depth) const {
    const Slice slice{to[0], to[1], to[2], first, extent, cublas_padded(extent), depth};
    launch(cut_slice, blocks_for(slice.padded * (depth / kHalf)), static_cast<unsigned>(kBlock), 0, stream,
           group, from, slice);
  }

  // A dot product has at most 1024 terms (G), of bytes of at most 127 in magnitude (i14_digits.cuh): each of
  // the three sums stays below 2^24 in every order, so the library's 32 bits are never left.
  void run_tile(std::int64_t row, std::int64_t rows, std::int64_t col, std::int64_t cols) const {
    const std::int64_t stride = cublas_padded(cols);
    bool begins = true;
    for (std::size_t g = 0; g < plan.groups.size(); ++g) {
      const I14Group& group = plan.groups[g];
      const std::int64_t depth = std::max<std::int64_t>(1, (group.length + kChunk - 1) / kChunk) * kChunk;
      slice(group, left, at.left, row, rows, depth);
      slice(group, right, at.right, col, cols, depth);
      for (int i = 0; i < kSlices; ++i)
        cublas.multiply_int8(cublas_padded(rows), stride, depth, at.left[i], at.right[i], at.sums[i]);
      const Promotion p{at.sums[0], at.sums[1], at.sums[2], stride,          rows, cols,
                        row,        col,        begins,     group.ends != 0, add};
      const auto scales = static_cast<std::int64_t>(g);
      launch(promote, blocks_for(rows * cols), static_cast<unsigned>(kBlock), 0, stream, p,
             left.scales + scales * left.extent, right.scales + scales * right.extent, at.acc, c,
             right.extent);
      begins = group.ends != 0;
    }
  }
};

}  // namespace

std::size_t i14_workspace_bytes(int group, std::int64_t rows, std::int64_t cols) {
  return Workspace(group, rows, cols, nullptr).bytes;
}

void multiply_i14_by_cublas(Stream stream, Cublas& cublas, const I14Plan& plan, const I14Planes& left,
                            const I14Planes& right, float* c, bool add, std::byte* workspace) {
  const Product product{stream, cublas, plan, left,
                        right,  c,      add,  Workspace(plan.group, left.extent, right.extent, workspace)};
  for (std::int64_t row = 0; row < left.extent; row += kMostTile)
    for (std::int64_t col = 0; col < right.extent; col += kMostTile)
      product.run_tile(row, std::min(kMostTile, left.extent - row), col,
                       std::min(kMostTile, right.extent - col));
}

}  // namespace aftune::kernels::cuda
