#include "kernels/cpu/attention.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

float exp32(float x) {
  if (x < -104.0f) return 0.0f;
  const float shift = 0x1.8p23f;
  const float n = __builtin_fmaf(x, 0x1.715476p0f, shift) - shift;
  const float r = __builtin_fmaf(n, -0x1.7f7d1cp-20f, __builtin_fmaf(n, -0x1.62e4p-1f, x));
  float p = 0x1.6850e4p-10f;
  p = __builtin_fmaf(p, r, 0x1.123bccp-7f);
  p = __builtin_fmaf(p, r, 0x1.555b98p-5f);
  p = __builtin_fmaf(p, r, 0x1.55548ep-3f);
  p = __builtin_fmaf(p, r, 0x1.fffff8p-2f);
  p = __builtin_fmaf(p, r, 1.0f);
  p = __builtin_fmaf(p, r, 1.0f);
  const int half = static_cast<int>(n) / 2, rest = static_cast<int>(n) - half;
  return p * __builtin_bit_cast(float, (half + 127) << 23) * __builtin_bit_cast(float, (rest + 127) << 23);
}

float dot(std::int64_t n, const float* a, const float* b) {
  float acc = 0.0f;
  for (std::int64_t i = 0; i < n; ++i) acc = __builtin_fmaf(a[i], b[i], acc);
  return acc + 0.0f;
}

template <class Term>
float row_sum(std::int64_t n, Term term) {
  float total = 0.0f;
  for (std::int64_t at = 0; at < n; at += 1024) {
    const std::int64_t end = n - at < 1024 ? n : at + 1024;
    float lane[32] = {};
    for (std::int64_t i = at; i < end; ++i) lane[i % 32] += term(i);
    for (int half = 16; half > 0; half /= 2)
      for (int l = 0; l < half; ++l) lane[l] += lane[l + half];
    total += lane[0];
  }
  return total;
}

void scores(const AttentionHead& head, std::int64_t i, float* s) {
  for (std::int64_t j = 0; j <= i; ++j)
    s[j] = dot(head.head_dim, head.q + i * head.q_stride, head.k + j * head.kv_stride) * head.scale;
}

void forward(const AttentionHead& head, float* o, float* max, float* sum, float* s) {
  for (std::int64_t i = 0; i < head.length; ++i) {
    scores(head, i, s);
    float m = s[0];
    for (std::int64_t j = 1; j <= i; ++j) m = m < s[j] ? s[j] : m;
    m += 0.0f;
    for (std::int64_t j = 0; j <= i; ++j) s[j] = exp32(s[j] - m);
    const float l = row_sum(i + 1, [&](std::int64_t j) { return s[j]; });
    for (std::int64_t d = 0; d < head.head_dim; ++d) {
      float total = 0.0f;
      for (std::int64_t at = 0; at <= i; at += 512) {
        float acc = 0.0f;
        for (std::int64_t j = at; j <= i && j < at + 512; ++j)
          acc = __builtin_fmaf(s[j], head.v[j * head.kv_stride + d], acc);
        total += acc + 0.0f;
      }
      o[i * head.q_stride + d] = total / l;
    }
    max[i * head.stat_stride] = m;
    sum[i * head.stat_stride] = l;
  }
}

void backward(const AttentionHead& head, const float* o, const float* max, const float* sum, const float* d_o,
              float* dq, float* dk, float* dv, float* p) {
  float* ds = p + head.length;
  for (std::int64_t i = 0; i < head.length; ++i) {
    const float* g = d_o + i * head.q_stride;
    const float m = max[i * head.stat_stride], l = sum[i * head.stat_stride];
    scores(head, i, p);
    const float delta =
        row_sum(head.head_dim, [&](std::int64_t d) { return g[d] * o[i * head.q_stride + d]; });
    for (std::int64_t j = 0; j <= i; ++j) {
      p[j] = exp32(p[j] - m) / l;
      ds[j] = p[j] * (dot(head.head_dim, g, head.v + j * head.kv_stride) - delta) * head.scale;
    }
    for (std::int64_t d = 0; d < head.head_dim; ++d) {
      const float qd = head.q[i * head.q_stride + d];
      float acc = 0.0f;
      for (std::int64_t j = 0; j <= i; ++j) {
        const std::int64_t at = j * head.kv_stride + d;
        acc = __builtin_fmaf(ds[j], head.k[at], acc);
        dv[at] = __builtin_fmaf(p[j], g[d], dv[at]);
        dk[at] = __builtin_fmaf(ds[j], qd, dk[at]);
      }
      dq[i * head.q_stride + d] = acc + 0.0f;
    }
  }
}

}  // namespace

const AttentionTable attention_table = {forward, backward};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
