// The forward pass: two passes over the keys, the first for the largest score.

#include "kernels/cuda/attention_tiles.cuh"

namespace aftune::kernels::cuda {
namespace {

constexpr std::int64_t kKeyBlock = 512;  // of the value sum (docs/numerics.md)

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
  const std::int64_t keys = smaller(end_of_keys(shape, head, first + Own::kOwnRows - 1), head.end);
  float* const own = shared + warp * kEach * Own::kWidth;
  float* const weights = shared + Own::kOwn + warp * kEach * kWeightRow;
  float* const tile = shared + Own::kOwn + Own::kWeights;
  load_rows<Own::kOwnRows, Own::kWidth>({q + head.q, stride}, first - head.first, head.end - head.first, d,
                                        shared, Own::kWidth);

  float most[kEach];
  for (int e = 0; e < kEach; ++e) most[e] = -kInfinity32;
  for (std::int64_t key = 0; key < keys; key += kTileRows) {
    load_tile<Own::kWidth>(head.k, key, keys, d, tile);
    if (key >= end_of_keys(shape, head, own_first + kEach - 1)) continue;
    float s[kEach];
    multiply_rows<kEach, Own::kWidth>(own, tile, d, s);
    AFTUNE_UNROLL
    for (int e = 0; e < kEach; ++e)
      if (key + lane < end_of_keys(shape, head, own_first + e))
        most[e] = WarpLanes::larger_finite(most[e], s[e] * shape.scale);
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
      const std::int64_t end = end_of_keys(shape, head, own_first + e);
      e_of[e] = key + lane < end ? exp32(e_of[e] * shape.scale - most[e]) : 0.0f;
      lane_sum[e] = lane_sum[e] + e_of[e];
      weights[e * kWeightRow + lane] = e_of[e];
      ranges[e] = {0, within_tile(end - key)};
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

}  // namespace aftune::kernels::cuda
