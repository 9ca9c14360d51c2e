#include "kernels/cpu/attention.h"

#include <vector>

#include "kernels/ops.h"

namespace aftune::kernels {

const AttentionTable& attention_table(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return avx512::attention_table;
  if (isa == Isa::kAvx2) return avx2::attention_table;
#endif
  static_cast<void>(isa);
  return scalar::attention_table;
}

void attention(ThreadPool& pool, const AttentionShape& shape, std::int64_t documents,
               const std::int64_t* doc_starts, const float* q, const float* k, const float* v, float* o,
               float* max, float* sum) {
  const AttentionTable& table = attention_table(active_isa());
  const std::int64_t hd = shape.head_dim, qs = shape.heads * hd, ks = shape.kv_heads * hd;
  pool.run(documents * shape.heads, [&](std::int64_t task) {
    const std::int64_t doc = task / shape.heads, h = task % shape.heads;
    const std::int64_t kv = h / (shape.heads / shape.kv_heads), t = doc_starts[doc];
    const std::int64_t length = doc_starts[doc + 1] - t;
    const AttentionHead head{length,
                             hd,
                             qs,
                             ks,
                             shape.heads,
                             shape.scale,
                             q + t * qs + h * hd,
                             k + t * ks + kv * hd,
                             v + t * ks + kv * hd};
    std::vector<float> scratch(static_cast<std::size_t>(length));
    table.forward(head, o + t * qs + h * hd, max + t * shape.heads + h, sum + t * shape.heads + h,
                  scratch.data());
  });
}

void attention_grad(ThreadPool& pool, const AttentionShape& shape, std::int64_t documents,
                    const std::int64_t* doc_starts, const float* q, const float* k, const float* v,
                    const float* o, const float* max, const float* sum, const float* d_o, float* dq,
                    float* dk, float* dv) {
  const AttentionTable& table = attention_table(active_isa());
  const std::int64_t hd = shape.head_dim, qs = shape.heads * hd, ks = shape.kv_heads * hd;
  const std::int64_t group = shape.heads / shape.kv_heads;
  pool.run(documents * shape.kv_heads, [&](std::int64_t task) {
    const std::int64_t doc = task / shape.kv_heads, kv = task % shape.kv_heads, t = doc_starts[doc];
    const std::int64_t length = doc_starts[doc + 1] - t, at_kv = t * ks + kv * hd;
    std::vector<float> scratch(static_cast<std::size_t>(2 * length));
    for (std::int64_t j = 0; j < length; ++j)
      for (std::int64_t d = 0; d < hd; ++d) dk[at_kv + j * ks + d] = dv[at_kv + j * ks + d] = 0.0f;
    for (std::int64_t h = kv * group; h < (kv + 1) * group; ++h) {
      const std::int64_t at = t * qs + h * hd, stat = t * shape.heads + h;
      const AttentionHead head{length, hd, qs, ks, shape.heads, shape.scale, q + at, k + at_kv, v + at_kv};
      table.backward(head, o + at, max + stat, sum + stat, d_o + at, dq + at, dk + at_kv, dv + at_kv,
                     scratch.data());
    }
    for (std::int64_t j = 0; j < length; ++j)
      for (std::int64_t d = 0; d < hd; ++d) {
        dk[at_kv + j * ks + d] += 0.0f;
        dv[at_kv + j * ks + d] += 0.0f;
      }
  });
}

}  // namespace aftune::kernels
