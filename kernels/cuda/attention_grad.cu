// The gradients of attention: one kernel by queries, one by keys, each of which forms the probabilities anew.

#include "kernels/cuda/attention_tiles.cuh"

namespace aftune::kernels::cuda {
namespace {

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
  const std::int64_t keys = smaller(end_of_keys(in.shape, head, first + Own::kOwnRows - 1), head.end);
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
      ranges[e] = {0, within_tile(end_of_keys(in.shape, head, own_first + e) - key)};
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
    const std::int64_t first_query = in.shape.causal ? first / kTileRows * kTileRows : 0;
    for (std::int64_t query = first_query; query < kv.end; query += kTileRows) {
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
        ranges[e] = {in.shape.causal ? within_tile(own_first + e - query) : 0, within_tile(kv.end - query)};
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
