#include "kernels/cpu/attention.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/cpu/pack.h"
#include "kernels/lanes.h"
#include "kernels/math.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

// The names say which factor of which product a packed copy is.
struct BackwardScratch {
  float *keys_right, *values_right, *key_rows, *queries_left, *query_rows, *d_o_left, *d_o_rows;
  float *p, *ds, *packed;
  std::int64_t stride, floats;

  BackwardScratch(const AttentionHead& head, const AttentionPart& part, float* start) {
    const std::int64_t d = head.head_dim, wide = round_up(d, kTileCols);
    const std::int64_t keys = round_up(part.last_key - part.first_key, kTileCols);
    Scratchpad pad(start);
    stride = weights_stride(keys);
    keys_right = pad.take(keys * d);
    values_right = pad.take(keys * d);
    key_rows = pad.take(keys * wide);
    queries_left = pad.take(kQueryBlock * d);
    query_rows = pad.take(kQueryBlock * wide);
    d_o_left = pad.take(kQueryBlock * d);
    d_o_rows = pad.take(kQueryBlock * wide);
    p = pad.take(kQueryBlock * stride);
    ds = pad.take(kQueryBlock * stride);
    packed = pad.take(kTileRows * kKeyBlock);
    floats = pad.taken();
  }
};

std::int64_t backward_scratch(const AttentionHead& head, const AttentionPart& part) {
  return BackwardScratch(head, part, nullptr).floats;
}

// Scores in p become probabilities, products dO . v in ds become the gradients of scores before scaling.
void softmax_grad(const AttentionHead& head, const AttentionGrads& grads, std::int64_t query,
                  const Weights& probabilities, const Weights& gradients) {
  const float* o = grads.o + query * head.q_stride;
  const float* d_o = grads.d_o + query * head.q_stride;
  const float m = grads.max[query * head.stat_stride], l = grads.sum[query * head.stat_stride];
  const float mean =
      CpuLanes{}.sum(head.head_dim, [=](float acc, std::int64_t i) { return fma32(d_o[i], o[i], acc); });
  float* p = probabilities.row(query);
  float* ds = gradients.row(query);
  const float scale = head.scale;
  const std::int64_t keys = probabilities.visible(query);
  CpuLanes{}.each(keys, [=](std::int64_t j) {
    p[j] = exp32(p[j] * scale - m) / l;
    ds[j] = (p[j] * (ds[j] - mean)) * scale;
  });
  for (std::int64_t j = keys; j < probabilities.width(query); ++j) p[j] = ds[j] = 0.0f;
}

void pack_queries(const AttentionHead& head, const AttentionGrads& grads, const AttentionPart& part,
                  const BackwardScratch& own) {
  const std::int64_t d = head.head_dim, first = part.first_query, count = part.last_query - first;
  pack_left({head.q, head.q_stride, false}, first, count, 0, d, own.queries_left);
  pack_left({grads.d_o, head.q_stride, false}, first, count, 0, d, own.d_o_left);
  if (grads.dk == nullptr) return;
  pack_right({head.q, head.q_stride, true}, 0, d, first, count, own.query_rows);
  pack_right({grads.d_o, head.q_stride, true}, 0, d, first, count, own.d_o_rows);
}

// One block of queries against the part's keys.
void backward_block(const AttentionHead& head, const AttentionGrads& grads, const AttentionPart& part,
                    const BackwardScratch& own) {
  const std::int64_t d = head.head_dim;
  const Weights p{part, own.p, own.stride}, ds{part, own.ds, own.stride};
  pack_queries(head, grads, part, own);
  multiply_visible(p, d, own.queries_left, own.keys_right);
  multiply_visible(ds, d, own.d_o_left, own.values_right);
  for (std::int64_t query = part.first_query; query < part.last_query; ++query)
    softmax_grad(head, grads, query, p, ds);
  if (grads.dq != nullptr)
    sum_over_keys(ds, d, own.key_rows, false, grads.dq + part.first_query * head.q_stride, head.q_stride,
                  own.packed);
  if (grads.dk == nullptr) return;
  sum_over_queries(p, d, own.d_o_rows, grads.dv + part.first_key * head.kv_stride, head.kv_stride);
  sum_over_queries(ds, d, own.query_rows, grads.dk + part.first_key * head.kv_stride, head.kv_stride);
}

void backward(const AttentionHead& head, const AttentionGrads& grads, const AttentionPart& part,
              float* scratch) {
  const BackwardScratch own(head, part, scratch);
  const std::int64_t d = head.head_dim, keys = part.last_key - part.first_key;
  pack_right({head.k, head.kv_stride, false}, part.first_key, keys, 0, d, own.keys_right);
  pack_right({head.v, head.kv_stride, false}, part.first_key, keys, 0, d, own.values_right);
  if (grads.dq != nullptr)
    pack_right({head.k, head.kv_stride, true}, 0, d, part.first_key, keys, own.key_rows);
  AttentionPart block = part;
  for (; block.first_query < part.last_query; block.first_query = block.last_query) {
    block.last_query = smaller(block.first_query + kQueryBlock, part.last_query);
    backward_block(head, grads, block, own);
  }
}

}  // namespace

const AttentionGradTable attention_grad_table = {backward_scratch, backward};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
