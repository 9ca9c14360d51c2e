#include "kernels/cpu/attention.h"

#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/pack.h"
#include "kernels/lanes.h"
#include "kernels/math.h"
#include "kernels/rowsum.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

struct ForwardScratch {
  float *keys, *values, *queries, *weights, *packed;
  std::int64_t stride, floats;

  ForwardScratch(const AttentionHead& head, std::int64_t last_query, float* start) {
    const std::int64_t d = head.head_dim;
    Scratchpad pad(start);
    stride = weights_stride(last_query);
    keys = pad.take(round_up(last_query, kTileCols) * d);
    values = pad.take(round_up(d, kTileCols) * last_query);
    queries = pad.take(kQueryBlock * d);
    weights = pad.take(kQueryBlock * stride);
    packed = pad.take(kTileRows * kKeyBlock);
    floats = pad.taken();
  }
};

std::int64_t forward_scratch(const AttentionHead& head, std::int64_t last_query) {
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

void forward(const AttentionHead& head, std::int64_t first_query, std::int64_t last_query, float* o,
             float* max, float* sum, float* scratch) {
  const ForwardScratch own(head, last_query, scratch);
  const std::int64_t d = head.head_dim;
  pack_right({head.k, head.kv_stride, false}, 0, last_query, 0, d, own.keys);
  pack_right({head.v, head.kv_stride, true}, 0, d, 0, last_query, own.values);
  for (std::int64_t first = first_query; first < last_query; first += kQueryBlock) {
    const AttentionPart part{first, smaller(first + kQueryBlock, last_query), 0, last_query};
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
