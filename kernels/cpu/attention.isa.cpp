#include "kernels/cpu/attention.h"

#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/few_rows.h"
#include "kernels/cpu/pack.h"
#include "kernels/lanes.h"
#include "kernels/math.h"
#include "kernels/rowsum.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

// How many keys, counted from the document's start, some query before `last_query` sees.
AFTUNE_OP std::int64_t keys_seen(const AttentionHead& head, std::int64_t last_query) {
  return head.causal ? last_query : head.length;
}

struct ForwardScratch {
  float *keys, *values, *queries, *weights, *packed;
  std::int64_t stride, floats;

  ForwardScratch(const AttentionHead& head, std::int64_t last_query, float* start) {
    const std::int64_t d = head.head_dim, seen = keys_seen(head, last_query);
    Scratchpad pad(start);
    stride = weights_stride(seen);
    keys = pad.take(round_up(seen, kTileCols) * d);
    values = pad.take(round_up(d, kTileCols) * seen);
    queries = pad.take(kQueryBlock * d);
    weights = pad.take(kQueryBlock * stride);
    packed = pad.take(kTileRows * kKeyBlock);
    floats = pad.taken();
  }
};

// So few queries take keys and values as they lie: packing them would cost more than all else.
constexpr std::int64_t kFewQueries = 4;

std::int64_t forward_scratch(const AttentionHead& head, std::int64_t first_query, std::int64_t last_query) {
  if (last_query - first_query <= kFewQueries) return weights_stride(keys_seen(head, last_query));
  return ForwardScratch(head, last_query, nullptr).floats;
}

// Scores become e = exp(s - m).
void exponentiate(const AttentionHead& head, const Weights& weights, std::int64_t query, float* max,
                  float* sum) {
  float* s = weights.row(query);
  const std::int64_t keys = weights.visible(query);
  const float m = CpuLanes{}.largest_finite(keys, [&](std::int64_t j) { return s[j] * head.scale; });
  CpuLanes{}.each(keys, [&](std::int64_t j) { s[j] = exp32(s[j] * head.scale - m); });
  for (std::int64_t j = keys; j < weights.width(query); ++j) s[j] = 0.0f;
  const std::int64_t stat = (query - head.q_first) * head.stat_stride;
  max[stat] = m;
  sum[stat] = RowSum{}.row(CpuLanes{}, keys, s);
}

void divide_by_sum(const AttentionHead& head, const AttentionPart& part, const float* sum, float* o) {
  for (std::int64_t query = part.first_query; query < part.last_query; ++query) {
    float* row = o + (query - head.q_first) * head.q_stride;
    const float l = sum[(query - head.q_first) * head.stat_stride];
    CpuLanes{}.each(head.head_dim, [&](std::int64_t i) { row[i] = row[i] / l; });
  }
}

/// For kVecs vectors of a value's elements the chains over `keys` of (weight, element).
template <int kVecs>
AFTUNE_OP void sum_values(std::int64_t keys, const float* weights, const float* v, std::int64_t stride,
                          bool adds, float* o) {
  Vec acc[kVecs];
#pragma GCC unroll 8
  for (int i = 0; i < kVecs; ++i) acc[i] = zero();
  for (std::int64_t j = 0; j < keys; ++j, v += stride) {
    const Vec weight = broadcast(weights[j]);
#pragma GCC unroll 8
    for (int i = 0; i < kVecs; ++i) acc[i] = multiply_add(weight, load(v + i * kVecWidth), acc[i]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < kVecs; ++i) {
    const Vec result = add(acc[i], zero());
    store(o + i * kVecWidth, adds ? add(load(o + i * kVecWidth), result) : result);
  }
}

void sum_values(const AttentionHead& head, std::int64_t keys, const float* weights, float* o) {
  constexpr int kVecs = 4;
  for (std::int64_t key = 0; key < keys; key += kKeyBlock) {
    const std::int64_t count = smaller(keys - key, kKeyBlock), stride = head.kv_stride;
    const float* v = head.v + key * stride;
    const float* w = weights + key;
    std::int64_t i = 0;
    for (; i + kVecs * kVecWidth <= head.head_dim; i += kVecs * kVecWidth)
      sum_values<kVecs>(count, w, v + i, stride, key > 0, o + i);
    for (; i + kVecWidth <= head.head_dim; i += kVecWidth)
      sum_values<1>(count, w, v + i, stride, key > 0, o + i);
    for (; i < head.head_dim; ++i) {
      float acc = 0.0f;
      for (std::int64_t j = 0; j < count; ++j) acc = fma32(w[j], v[j * stride + i], acc);
      o[i] = key > 0 ? o[i] + (acc + 0.0f) : acc + 0.0f;
    }
  }
}

void forward_few(const AttentionHead& head, std::int64_t first_query, std::int64_t last_query, float* o,
                 float* max, float* sum, float* scratch) {
  for (std::int64_t query = first_query; query < last_query; ++query) {
    const std::int64_t row = (query - head.q_first) * head.q_stride, keys = keys_seen(head, query + 1);
    const AttentionPart part{query, query + 1, 0, keys, head.causal};
    const Weights weights{part, scratch, weights_stride(keys)};
    multiply_few({1, keys, head.head_dim, head.q + row, head.k, head.kv_stride, false, scratch, keys});
    exponentiate(head, weights, query, max, sum);
    sum_values(head, keys, scratch, o + row);
    divide_by_sum(head, part, sum, o);
  }
}

void forward(const AttentionHead& head, std::int64_t first_query, std::int64_t last_query, float* o,
             float* max, float* sum, float* scratch) {
  if (last_query - first_query <= kFewQueries)
    return forward_few(head, first_query, last_query, o, max, sum, scratch);
  const ForwardScratch own(head, last_query, scratch);
  const std::int64_t d = head.head_dim, keys = keys_seen(head, last_query);
  pack_right({head.k, head.kv_stride, false}, 0, keys, 0, d, own.keys);
  pack_right({head.v, head.kv_stride, true}, 0, d, 0, keys, own.values);
  for (std::int64_t first = first_query; first < last_query; first += kQueryBlock) {
    const AttentionPart part{first, smaller(first + kQueryBlock, last_query), 0, keys, head.causal};
    const Weights weights{part, own.weights, own.stride};
    const std::int64_t row = first - head.q_first;
    pack_left({head.q, head.q_stride, false}, row, part.last_query - first, 0, d, own.queries);
    multiply_visible(weights, d, own.queries, own.keys);
    for (std::int64_t query = first; query < part.last_query; ++query)
      exponentiate(head, weights, query, max, sum);
    sum_over_keys(weights, d, own.values, true, o + row * head.q_stride, head.q_stride, own.packed);
    divide_by_sum(head, part, sum, o);
  }
}

}  // namespace

const AttentionTable attention_table = {forward_scratch, forward};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
