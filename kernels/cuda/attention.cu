// A block of threads takes some queries (or, for the gradients of keys and values, some keys) of one head:
// each of its warps has kEach of them. What they meet comes as tiles of 32 rows through shared memory, a row
// for each lane. A warp's lanes hold the pairs (own row, tile row) first, for the chains over head_dim, and
// then the columns of the own rows' results, for the chains over the tile's rows: so every chain is one
// thread's, in the order of docs/numerics.md, and the lanes of rowsum are the lanes of the warp.

#include "kernels/cuda/attention.h"

#include <stdexcept>

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/warp_lanes.cuh"
#include "kernels/math.h"
#include "kernels/ops.h"

namespace aftune::kernels::cuda {
namespace {

constexpr int kBlockWarps = 8;
constexpr int kThreads = kBlockWarps * static_cast<int>(kLanes);
constexpr int kTileRows = 32;
constexpr std::int64_t kKeyBlock = 512;  // of the value sum (docs/numerics.md)
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

/// The own rows of a block are taken from the end: the last queries, which have the most to do, come first.
AFTUNE_OP std::int64_t rows_before_block(int rows) {
  return static_cast<std::int64_t>(gridDim.x - 1 - blockIdx.x) * rows;
}

// --- Forward.

template <int kColumns, int kEach>
__global__ void __launch_bounds__(kThreads, 1) forward(const AttentionShape shape, const Documents documents,
                                                       const float* q, float* o, float* max, float* sum) {
  using Own = Layout<kColumns, kEach>;
  AFTUNE_DYNAMIC_SHARED(float, shared);
  const Head head = head_of(shape, documents, blockIdx.z, blockIdx.y);
  const std::int64_t d = shape.head_dim, stride = shape.heads * d;
  const std::int64_t first = head.first + rows_before_block(Own::kOwnRows);
  if (first >= head.end) return;
  const int warp = warp_of_thread(), lane = lane_of_thread();
  const std::int64_t own_first = first + warp * kEach;  // the warp's first query
  const std::int64_t keys = smaller(first + Own::kOwnRows, head.end);
  float* const own = shared + warp * kEach * Own::kWidth;
  float* const weights = shared + Own::kOwn + warp * kEach * kWeightRow;
  float* const tile = shared + Own::kOwn + Own::kWeights;
  load_rows<Own::kOwnRows, Own::kWidth>({q + head.q, stride}, first - head.first, head.end - head.first, d,
                                        shared, Own::kWidth);

  float most[kEach];
  for (int e = 0; e < kEach; ++e) most[e] = -kInfinity32;
  for (std::int64_t key = 0; key < keys; key += kTileRows) {
    load_tile<Own::kWidth>(head.k, key, keys, d, tile);
    if (key >= own_first + kEach) continue;
    float s[kEach];
    multiply_rows<kEach, Own::kWidth>(own, tile, d, s);
    AFTUNE_UNROLL
    for (int e = 0; e < kEach; ++e)
      if (key + lane <= own_first + e) most[e] = WarpLanes::larger_finite(most[e], s[e] * shape.scale);
  }
  AFTUNE_UNROLL
  for (int e = 0; e < kEach; ++e) most[e] = WarpLanes::largest_of_lanes(most[e]);

  float lane_sum[kEach] = {}, total[kEach] = {};
  float acc[kEach][kColumns] = {}, out[kEach][kColumns] = {};
  for (std::int64_t key = 0; key < keys; key += kTileRows) {
    load_tile<Own::kWidth>(head.k, key, keys, d, tile);
    Range ranges[kEach];
    float e_of[kEach];
    multiply_rows<kEach, Own::kWidth>(own, tile, d, e_of);
    AFTUNE_UNROLL
    for (int e = 0; e < kEach; ++e) {
      const bool seen = key + lane <= own_first + e;
      e_of[e] = seen ? exp32(e_of[e] * shape.scale - most[e]) : 0.0f;
      lane_sum[e] = lane_sum[e] + e_of[e];
      weights[e * kWeightRow + lane] = e_of[e];
      ranges[e] = {0, within_tile(own_first + e + 1 - key)};
    }
    load_tile<Own::kWidth>(head.v, key, keys, d, tile);
    add_rows<kColumns, kEach>(weights, tile, ranges, acc);
    // A block that has no keys of a query adds +0 to what is never -0.
    if ((key + kTileRows) % kKeyBlock == 0) {
      AFTUNE_UNROLL
      for (int e = 0; e < kEach; ++e) {
        AFTUNE_UNROLL
        for (int c = 0; c < kColumns; ++c) {
          out[e][c] = out[e][c] + (acc[e][c] + 0.0f);
          acc[e][c] = 0.0f;
        }
      }
    }
    if ((key + kTileRows) % kSumBlock == 0) {
      AFTUNE_UNROLL
      for (int e = 0; e < kEach; ++e) {
        total[e] = total[e] + WarpLanes::sum_of_lanes(lane_sum[e]);
        lane_sum[e] = 0.0f;
      }
    }
  }
  AFTUNE_UNROLL
  for (int e = 0; e < kEach; ++e) {
    total[e] = total[e] + WarpLanes::sum_of_lanes(lane_sum[e]);
    const std::int64_t row = own_first + e - head.first;
    if (own_first + e >= head.end) continue;
    AFTUNE_UNROLL
    for (int c = 0; c < kColumns; ++c) {
      const std::int64_t column = c * kLanes + lane;
      if (column < d) o[head.q + row * stride + column] = (out[e][c] + (acc[e][c] + 0.0f)) / total[e];
    }
    if (lane != 0) continue;
    max[head.stat + row * shape.heads] = most[e];
    sum[head.stat + row * shape.heads] = total[e];
  }
}

// --- Backward.

struct Backward {
  AttentionShape shape;
  Documents documents;
  const float *q, *o, *max, *sum, *d_o;
  float *means, *dq, *dk, *dv;
};

/// What backward needs to know of a query.
struct Statistics {
  float max, sum, mean;

  AFTUNE_OP float probability(float product, float scale) const { return exp32(product * scale - max) / sum; }
  AFTUNE_OP float score_grad(float p, float dp, float scale) const { return (p * (dp - mean)) * scale; }
};

/// dq, and the means that the other kernel reads: own rows are queries, tiles are of keys.
template <int kColumns, int kEach>
__global__ void __launch_bounds__(kThreads, 1) backward_queries(const Backward in) {
  using Own = Layout<kColumns, kEach>;
  AFTUNE_DYNAMIC_SHARED(float, shared);
  const Head head = head_of(in.shape, in.documents, blockIdx.z, blockIdx.y);
  const std::int64_t d = in.shape.head_dim, stride = in.shape.heads * d;
  const std::int64_t first = rows_before_block(Own::kOwnRows);
  if (first >= head.end) return;
  const int warp = warp_of_thread(), lane = lane_of_thread();
  const std::int64_t own_first = first + warp * kEach;
  const std::int64_t keys = smaller(first + Own::kOwnRows, head.end);
  float* const own_q = shared + warp * kEach * Own::kWidth;
  float* const own_d_o = own_q + Own::kOwn;
  float* const weights = shared + 2 * Own::kOwn + warp * kEach * kWeightRow;
  float* const tile = shared + 2 * Own::kOwn + Own::kWeights;
  load_rows<Own::kOwnRows, Own::kWidth>({in.q + head.q, stride}, first, head.end, d, shared, Own::kWidth);
  load_rows<Own::kOwnRows, Own::kWidth>({in.d_o + head.q, stride}, first, head.end, d, shared + Own::kOwn,
                                        Own::kWidth);

  Statistics of[kEach];
  AFTUNE_UNROLL
  for (int e = 0; e < kEach; ++e) {
    const std::int64_t query = own_first + e, stat = head.stat + query * in.shape.heads;
    of[e] = {0.0f, 1.0f, 0.0f};
    if (query >= head.end) continue;
    const float* const o = in.o + head.q + query * stride;
    const float* const d_o = in.d_o + head.q + query * stride;
    const float mean =
        WarpLanes{}.sum(d, [=](float acc, std::int64_t i) { return fma32(d_o[i], o[i], acc); });
    of[e] = {in.max[stat], in.sum[stat], mean};
    if (lane == 0) in.means[stat] = mean;
  }

  float acc[kEach][kColumns] = {};
  for (std::int64_t key = 0; key < keys; key += kTileRows) {
    float dp[kEach], p[kEach];
    Range ranges[kEach];
    load_tile<Own::kWidth>(head.v, key, keys, d, tile);
    multiply_rows<kEach, Own::kWidth>(own_d_o, tile, d, dp);
    load_tile<Own::kWidth>(head.k, key, keys, d, tile);
    multiply_rows<kEach, Own::kWidth>(own_q, tile, d, p);
    AFTUNE_UNROLL
    for (int e = 0; e < kEach; ++e) {
      const float probability = of[e].probability(p[e], in.shape.scale);
      weights[e * kWeightRow + lane] = of[e].score_grad(probability, dp[e], in.shape.scale);
      ranges[e] = {0, within_tile(own_first + e + 1 - key)};
    }
    __syncwarp();
    add_rows<kColumns, kEach>(weights, tile, ranges, acc);
  }
  AFTUNE_UNROLL
  for (int e = 0; e < kEach; ++e) {
    AFTUNE_UNROLL
    for (int c = 0; c < kColumns; ++c) {
      const std::int64_t column = c * kLanes + lane;
      if (own_first + e < head.end && column < d)
        in.dq[head.q + (own_first + e) * stride + column] = acc[e][c] + 0.0f;
    }
  }
}

/// dk and dv: own rows are keys of a key-value head, tiles are of the queries of its heads, in order.
template <int kColumns, int kEach>
__global__ void __launch_bounds__(kThreads, 1) backward_keys(const Backward in) {
  using Own = Layout<kColumns, kEach>;
  AFTUNE_DYNAMIC_SHARED(float, shared);
  const std::int64_t group = in.shape.heads / in.shape.kv_heads, first_head = blockIdx.y * group;
  const Head kv = head_of(in.shape, in.documents, blockIdx.z, first_head);
  const std::int64_t d = in.shape.head_dim, stride = in.shape.heads * d;
  // The first keys, which the most queries see, come first.
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * Own::kOwnRows;
  if (first >= kv.end) return;
  const int warp = warp_of_thread(), lane = lane_of_thread();
  const std::int64_t own_first = first + warp * kEach;
  float* const own_k = shared + warp * kEach * Own::kWidth;
  float* const own_v = own_k + Own::kOwn;
  float* const p_weights = shared + 2 * Own::kOwn + warp * kEach * kWeightRow;
  float* const ds_weights = p_weights + Own::kWeights;
  float* const tile = shared + 2 * (Own::kOwn + Own::kWeights);
  load_rows<Own::kOwnRows, Own::kWidth>(kv.k, first, kv.end, d, shared, Own::kWidth);
  load_rows<Own::kOwnRows, Own::kWidth>(kv.v, first, kv.end, d, shared + Own::kOwn, Own::kWidth);

  float dk[kEach][kColumns] = {}, dv[kEach][kColumns] = {};
  for (std::int64_t h = first_head; h < first_head + group; ++h) {
    const Head head = head_of(in.shape, in.documents, blockIdx.z, h);
    const Rows queries{in.q + head.q, stride}, d_o{in.d_o + head.q, stride};
    for (std::int64_t query = first / kTileRows * kTileRows; query < kv.end; query += kTileRows) {
      Statistics of{0.0f, 1.0f, 0.0f};
      if (query + lane < kv.end) {
        const std::int64_t stat = head.stat + (query + lane) * in.shape.heads;
        of = {in.max[stat], in.sum[stat], in.means[stat]};
      }
      float p[kEach], dp[kEach];
      Range ranges[kEach];
      load_tile<Own::kWidth>(queries, query, kv.end, d, tile);
      multiply_rows<kEach, Own::kWidth>(own_k, tile, d, p);
      load_tile<Own::kWidth>(d_o, query, kv.end, d, tile);
      multiply_rows<kEach, Own::kWidth>(own_v, tile, d, dp);
      AFTUNE_UNROLL
      for (int e = 0; e < kEach; ++e) {
        p[e] = of.probability(p[e], in.shape.scale);
        p_weights[e * kWeightRow + lane] = p[e];
        ds_weights[e * kWeightRow + lane] = of.score_grad(p[e], dp[e], in.shape.scale);
        ranges[e] = {within_tile(own_first + e - query), within_tile(kv.end - query)};
      }
      __syncwarp();
      add_rows<kColumns, kEach>(p_weights, tile, ranges, dv);
      load_tile<Own::kWidth>(queries, query, kv.end, d, tile);
      add_rows<kColumns, kEach>(ds_weights, tile, ranges, dk);
    }
  }
  const std::int64_t at = kv.k.data - in.documents.k;
  AFTUNE_UNROLL
  for (int e = 0; e < kEach; ++e) {
    AFTUNE_UNROLL
    for (int c = 0; c < kColumns; ++c) {
      const std::int64_t column = c * kLanes + lane, to = at + (own_first + e) * kv.k.stride + column;
      if (own_first + e >= kv.end || column >= d) continue;
      in.dk[to] = dk[e][c] + 0.0f;
      in.dv[to] = dv[e][c] + 0.0f;
    }
  }
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

struct ForwardLauncher {
  Stream stream;
  AttentionShape shape;
  Documents documents;
  std::int64_t count, longest;
  const float* q;
  float *o, *max, *sum;

  template <int kColumns>
  void run() const {
    constexpr int kEach = kColumns <= 4 ? 8 : 4;
    using Own = Layout<kColumns, kEach>;
    launch_rows(forward<kColumns, kEach>, stream, longest, Own::kOwnRows, shape.heads, count,
                Own::kOwn + Own::kWeights + Own::kTile, shape, documents, q, o, max, sum);
  }
};

struct BackwardLauncher {
  Stream stream;
  Backward in;
  std::int64_t count, longest;

  template <int kColumns>
  void run() const {
    constexpr int kEach = kColumns <= 4 ? 4 : 2;
    using Own = Layout<kColumns, kEach>;
    launch_rows(backward_queries<kColumns, kEach>, stream, longest, Own::kOwnRows, in.shape.heads, count,
                2 * Own::kOwn + Own::kWeights + Own::kTile, in);
    launch_rows(backward_keys<kColumns, kEach>, stream, longest, Own::kOwnRows, in.shape.kv_heads, count,
                2 * Own::kOwn + 2 * Own::kWeights + Own::kTile, in);
  }
};

}  // namespace

void attention(Stream stream, const AttentionShape& shape, std::int64_t documents,
               const std::int64_t* doc_starts, std::int64_t longest, const float* q, const float* k,
               const float* v, float* o, float* max, float* sum) {
  if (documents == 0 || longest == 0) return;
  for_head_dim(
      shape.head_dim,
      ForwardLauncher{stream, shape, {doc_starts, nullptr, k, v}, documents, longest, q, o, max, sum});
}

void attention_continued(Stream stream, const AttentionShape& shape, std::int64_t documents,
                         const AttentionContinuation* continuations, std::int64_t longest, const float* q,
                         float* o, float* max, float* sum) {
  if (documents == 0 || longest == 0) return;
  for_head_dim(
      shape.head_dim,
      ForwardLauncher{
          stream, shape, {nullptr, continuations, nullptr, nullptr}, documents, longest, q, o, max, sum});
}

void attention_grad(Stream stream, const AttentionShape& shape, std::int64_t documents,
                    const std::int64_t* doc_starts, std::int64_t longest, const float* q, const float* k,
                    const float* v, const float* o, const float* max, const float* sum, const float* d_o,
                    float* means, float* dq, float* dk, float* dv) {
  if (documents == 0 || longest == 0) return;
  for_head_dim(shape.head_dim,
               BackwardLauncher{stream,
                                {shape, {doc_starts, nullptr, k, v}, q, o, max, sum, d_o, means, dq, dk, dv},
                                documents,
                                longest});
}

}  // namespace aftune::kernels::cuda
