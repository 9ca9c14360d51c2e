#pragma once

// The per-ISA half of attention: one head of one document.

#include <cstdint>

#include "base/cpu.h"

namespace aftune::kernels {

/// A head of a document: row t of q is at q + t * q_stride, of k and v at k + t * kv_stride. max and sum of
/// row t are at max + t * stat_stride. All pointers already stand at the document's first row and at the
/// head.
struct AttentionHead {
  std::int64_t length, head_dim, q_stride, kv_stride, stat_stride;
  float scale;
  const float *q, *k, *v;
};

struct AttentionTable {
  /// scratch holds length floats.
  void (*forward)(const AttentionHead& head, float* o, float* max, float* sum, float* scratch);
  /// Adds this head's terms to the chains dk and dv, and stores dq. scratch holds 2 * length floats.
  void (*backward)(const AttentionHead& head, const float* o, const float* max, const float* sum,
                   const float* d_o, float* dq, float* dk, float* dv, float* scratch);
};

namespace scalar {
extern const AttentionTable attention_table;
}
namespace avx2 {
extern const AttentionTable attention_table;
}
namespace avx512 {
extern const AttentionTable attention_table;
}

const AttentionTable& attention_table(Isa isa);

}  // namespace aftune::kernels
