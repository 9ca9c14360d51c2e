#pragma once

// A block of threads takes some queries (or, for the gradients of keys and values, some keys) of one head:
// each of its warps has kEach of them. What they meet comes as tiles of 32 rows through shared memory, a row
// for each lane. A warp's lanes hold the pairs (own row, tile row) first, for the chains over head_dim, and
// then the columns of the own rows' results, for the chains over the tile's rows: so every chain is one
// thread's, in the order of docs/numerics.md, and the lanes of rowsum are the lanes of the warp.

#include <stdexcept>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/warp_lanes.cuh"
#include "kernels/math.h"
#include "kernels/ops.h"

namespace aftune::kernels::cuda {
namespace {

constexpr int kBlockWarps = 8;
constexpr int kThreads = kBlockWarps * static_cast<int>(kLanes);
constexpr int kTileRows = 32;
// Floats from one row of weights to the next: in 16 bytes' steps, and in other banks.
constexpr int kWeightRow = kTileRows + 4;

AFTUNE_OP std::int64_t smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}
AFTUNE_OP int warp_of_thread() {
  return static_cast<int>(threadIdx.x) / static_cast<int>(kLanes);
}
AFTUNE_OP int lane_of_thread() {
  return static_cast<int>(threadIdx.x) % static_cast<int>(kLanes);
}

/// kColumns * 32 >= head_dim columns in shared memory, of which those past head_dim are zeros.
template <int kColumns, int kEach>
struct Layout {
  static constexpr int kOwnRows = kBlockWarps * kEach;
  static constexpr int kWidth = kColumns * static_cast<int>(kLanes);
  static constexpr int kTileRow = kWidth + 1;  // so that lanes read their rows from different banks
  static constexpr int kOwn = kOwnRows * kWidth, kWeights = kOwnRows * kWeightRow;
  static constexpr int kTile = kTileRows * kTileRow;
};

/// Rows of head_dim floats that lie `stride` apart in device memory.
struct Rows {
  const float* data;
  std::int64_t stride;
};

/// Rows [first, end) of `from` to kRows rows of `to`; zeros for what is not there. By all threads of the
/// block.
template <int kRows, int kWidth>
AFTUNE_OP void load_rows(const Rows& from, std::int64_t first, std::int64_t end, std::int64_t head_dim,
                         float* to, int to_stride) {
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kWidth; i += kThreads) {
    const int row = i / kWidth, column = i % kWidth;
    const std::int64_t at = first + row;
    to[row * to_stride + column] =
        at < end && column < head_dim ? from.data[at * from.stride + column] : 0.0f;
  }
}

/// The next tile, once all are done with the one before.
template <int kWidth>
AFTUNE_OP void load_tile(const Rows& from, std::int64_t first, std::int64_t end, std::int64_t head_dim,
                         float* tile) {
  __syncthreads();
  load_rows<kTileRows, kWidth>(from, first, end, head_dim, tile, kWidth + 1);
  __syncthreads();
}

/// Chains over head_dim of each own row and this lane's row of the tile.
template <int kEach, int kWidth>
AFTUNE_OP void multiply_rows(const float* own, const float* tile, std::int64_t head_dim,
                             float (&out)[kEach]) {
  const float* const row = tile + lane_of_thread() * (kWidth + 1);
  AFTUNE_UNROLL
  for (int e = 0; e < kEach; ++e) out[e] = 0.0f;
  AFTUNE_UNROLL_4
  for (int d = 0; d < static_cast<int>(head_dim); d += 4) {
    const float r0 = row[d], r1 = row[d + 1], r2 = row[d + 2], r3 = row[d + 3];
    AFTUNE_UNROLL
    for (int e = 0; e < kEach; ++e) {
      const float4 x = *reinterpret_cast<const float4*>(own + e * kWidth + d);
      out[e] = fma32(x.w, r3, fma32(x.z, r2, fma32(x.y, r1, fma32(x.x, r0, out[e]))));
    }
  }
  AFTUNE_UNROLL
  for (int e = 0; e < kEach; ++e) out[e] = out[e] + 0.0f;
}

/// Rows of a tile that an own row meets.
struct Range {
  int from, to;
};

AFTUNE_OP int within_tile(std::int64_t i) {
  return static_cast<int>(i < 0 ? 0 : smaller(i, kTileRows));
}

/// Continues the chains over the tile's rows of weight x row, for this lane's columns of each own row.
template <int kColumns, int kEach>
AFTUNE_OP void add_rows(const float* weights, const float* tile, const Range (&ranges)[kEach],
                        float (&acc)[kEach][kColumns]) {
  constexpr int kTileRow = Layout<kColumns, kEach>::kTileRow;
  const float* const column = tile + lane_of_thread();
  AFTUNE_UNROLL_2
  for (int i = 0; i < kTileRows; i += 4) {
    float x[4][kColumns];
    AFTUNE_UNROLL
    for (int r = 0; r < 4; ++r) {
      AFTUNE_UNROLL
      for (int c = 0; c < kColumns; ++c) x[r][c] = column[(i + r) * kTileRow + c * static_cast<int>(kLanes)];
    }
    AFTUNE_UNROLL
    for (int e = 0; e < kEach; ++e) {
      const float4 four = *reinterpret_cast<const float4*>(weights + e * kWeightRow + i);
      const float w[4] = {four.x, four.y, four.z, four.w};
      const int from = ranges[e].from - i, to = ranges[e].to - i;
      AFTUNE_UNROLL
      for (int r = 0; r < 4; ++r) {
        if (r < from || r >= to) continue;
        AFTUNE_UNROLL
        for (int c = 0; c < kColumns; ++c) acc[e][c] = fma32(w[r], x[r][c], acc[e][c]);
      }
    }
  }
}

/// One head's part of a document. Rows of q, o and the statistics count from `first`, the position of the
/// first of them; keys and values from the document's start.
struct Head {
  std::int64_t first, end;  ///< positions of queries
  std::int64_t q, stat;     ///< where those of the first query lie
  Rows k, v;
};

/// Where the documents are: all of each, or continuations of some.
struct Documents {
  const std::int64_t* starts;
  const AttentionContinuation* continuations;
  const float *k, *v;
};

AFTUNE_OP Head head_of(const AttentionShape& shape, const Documents& documents, std::int64_t document,
                       std::int64_t head) {
  const std::int64_t d = shape.head_dim, kv_stride = shape.kv_heads * d;
  const std::int64_t kv_head = head / (shape.heads / shape.kv_heads) * d;
  std::int64_t first = 0, count, row;
  const float *k, *v;
  if (documents.continuations != nullptr) {
    const AttentionContinuation& part = documents.continuations[document];
    first = part.first;
    count = part.count;
    row = part.row;
    k = part.k;
    v = part.v;
  } else {
    row = documents.starts[document];
    count = documents.starts[document + 1] - row;
    k = documents.k + row * kv_stride;
    v = documents.v + row * kv_stride;
  }
  return {first,
          first + count,
          (row * shape.heads + head) * d,
          row * shape.heads + head,
          {k + kv_head, kv_stride},
          {v + kv_head, kv_stride}};
}

/// One past the last key that a query sees.
AFTUNE_OP std::int64_t end_of_keys(const AttentionShape& shape, const Head& head, std::int64_t query) {
  return shape.causal ? query + 1 : head.end;
}

/// The own rows of a block are taken from the end: the last queries, which have the most to do, come first.
AFTUNE_OP std::int64_t rows_before_block(int rows) {
  return static_cast<std::int64_t>(gridDim.x - 1 - blockIdx.x) * rows;
}

// --- Launches.

/// launcher.run<kColumns>() for the least number of columns that is built.
template <class Launcher>
void for_head_dim(std::int64_t head_dim, const Launcher& launcher) {
  if (head_dim > kMostHeadDim) throw std::invalid_argument("attention: head_dim is above 256");
  if (head_dim <= 32)
    launcher.template run<1>();
  else if (head_dim <= 64)
    launcher.template run<2>();
  else if (head_dim <= 128)
    launcher.template run<4>();
  else
    launcher.template run<8>();
}

template <class... Parameters, class... Arguments>
void launch_rows(void (*kernel)(Parameters...), Stream stream, std::int64_t longest, int rows,
                 std::int64_t heads, std::int64_t documents, int floats, const Arguments&... arguments) {
  const std::size_t shared = static_cast<std::size_t>(floats) * sizeof(float);
  cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
  const dim3 grid(static_cast<unsigned>((longest + rows - 1) / rows), static_cast<unsigned>(heads),
                  static_cast<unsigned>(documents));
  launch(kernel, grid, kThreads, shared, stream, arguments...);
}

}  // namespace
}  // namespace aftune::kernels::cuda
