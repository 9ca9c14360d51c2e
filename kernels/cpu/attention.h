#pragma once

// The per-ISA half of attention: parts of one head of one document.

#include <cstdint>

#include "base/cpu.h"
#include "base/parallel.h"

namespace aftune::kernels {

/// A head of a document. Row t of k and v is at k + t * kv_stride: the pointers stand at the document's first
/// row and at the head. Those of q, and in forward of o, max and sum, stand at the row of position q_first,
/// which is not 0 where earlier queries were answered before.
struct AttentionHead {
  std::int64_t length = 0, head_dim = 0;
  std::int64_t q_first = 0;
  std::int64_t q_stride = 0, kv_stride = 0, stat_stride = 0;
  float scale = 0;
  const float *q = nullptr, *k = nullptr, *v = nullptr;
  bool causal = true;  ///< whether query i sees keys 0 ... i only, or all
};

/// What backward needs besides, laid out like q, k, v, max and sum. A part that forms only dq has null dk and
/// dv, and the other way round.
struct AttentionGrads {
  const float *o = nullptr, *max = nullptr, *sum = nullptr, *d_o = nullptr;
  float *dq = nullptr, *dk = nullptr, *dv = nullptr;
};

/// Queries [first_query, last_query) and keys [first_key, last_key), counted from the document's start, and
/// which pairs of them there are.
struct AttentionPart {
  std::int64_t first_query = 0, last_query = 0, first_key = 0, last_key = 0;
  bool causal = true;
};

struct AttentionTable {
  std::int64_t (*forward_scratch)(const AttentionHead& head, std::int64_t first_query,
                                  std::int64_t last_query) = nullptr;
  /// o, max and sum of queries [first_query, last_query).
  void (*forward)(const AttentionHead& head, std::int64_t first_query, std::int64_t last_query, float* o,
                  float* max, float* sum, float* scratch) = nullptr;
};

struct AttentionGradTable {
  std::int64_t (*backward_scratch)(const AttentionHead& head, const AttentionPart& part) = nullptr;
  /// Stores dq of the part's queries, whose keys must then all be in the part; continues the chains of dk and
  /// dv of the part's keys by the part's queries.
  void (*backward)(const AttentionHead& head, const AttentionGrads& grads, const AttentionPart& part,
                   float* scratch) = nullptr;
};

namespace scalar {
extern const AttentionTable attention_table;
extern const AttentionGradTable attention_grad_table;
}  // namespace scalar
namespace avx2 {
extern const AttentionTable attention_table;
extern const AttentionGradTable attention_grad_table;
}  // namespace avx2
namespace avx512 {
extern const AttentionTable attention_table;
extern const AttentionGradTable attention_grad_table;
}  // namespace avx512

/// What all heads have in common, and where the documents' heads lie.
struct AttentionBatch {
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  float scale = 0;
  std::int64_t documents = 0;
  const std::int64_t* doc_starts = nullptr;
  const float *q = nullptr, *k = nullptr, *v = nullptr;
  bool causal = true;
};

void attention_forward(ThreadPool& pool, Isa isa, const AttentionBatch& batch, float* o, float* max,
                       float* sum);
struct AttentionShape;
struct AttentionContinuation;
void attention_continuation(ThreadPool& pool, Isa isa, const AttentionShape& shape, std::int64_t documents,
                            const AttentionContinuation* parts, const float* q, float* o, float* max,
                            float* sum);
void attention_backward(ThreadPool& pool, Isa isa, const AttentionBatch& batch, const AttentionGrads& grads);

}  // namespace aftune::kernels
