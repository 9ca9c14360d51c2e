// The row and element operations of ops.h: they share ranges among threads and call the active instruction
// set.

#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/chunks.h"
#include "kernels/cpu/rows.h"
#include "kernels/device.h"
#include "kernels/ops.h"

namespace aftune::kernels {
namespace {

constexpr std::int64_t kElementGrain = 1 << 16;
constexpr std::int64_t kColumnGrain = 256;

const RowTable& active() {
  return row_table(active_isa());
}

}  // namespace

const RowTable& row_table(Isa isa) {
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512) return avx512::row_table;
  if (isa == Isa::kAvx2) return avx2::row_table;
#endif
  static_cast<void>(isa);
  return scalar::row_table;
}

void rmsnorm(ThreadPool& pool, std::int64_t n, std::int64_t h, float eps, const float* x, const float* w,
             float* y, float* inv_rms) {
  if (Device* const device = device_of(pool)) return device->rmsnorm(n, h, eps, x, w, y, inv_rms);
  for_chunks(pool, n, rows_per_chunk(h), [&](std::int64_t a, std::int64_t b) {
    active().rmsnorm(b - a, h, eps, x + a * h, w, y + a * h, inv_rms + a);
  });
}

void rmsnorm_grad_input(ThreadPool& pool, std::int64_t n, std::int64_t h, const float* x, const float* w,
                        const float* inv_rms, const float* dy, float* dx, Into into) {
  if (Device* const device = device_of(pool))
    return device->rmsnorm_grad_input(n, h, x, w, inv_rms, dy, dx, into);
  for_chunks(pool, n, rows_per_chunk(h), [&](std::int64_t a, std::int64_t b) {
    active().rmsnorm_grad_input(b - a, h, x + a * h, w, inv_rms + a, dy + a * h, dx + a * h,
                                into == Into::kAdd);
  });
}

void rmsnorm_grad_weight(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                         const float* x, const float* inv_rms, const float* dy, float* dw) {
  if (Device* const device = device_of(pool))
    return device->rmsnorm_grad_weight(rows, row_starts, h, x, inv_rms, dy, dw);
  for_chunks(pool, h, kColumnGrain, [&](std::int64_t a, std::int64_t b) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t start = row_starts[r], at = start * h + a;
      active().rmsnorm_grad_weight(b - a, row_starts[r + 1] - start, h, x + at, inv_rms + start, dy + at,
                                   dw + a);
    }
  });
}

void layernorm(ThreadPool& pool, std::int64_t n, std::int64_t h, float eps, const float* x, const float* w,
               const float* b, float* y, float* mean, float* inv) {
  if (Device* const device = device_of(pool)) return device->layernorm(n, h, eps, x, w, b, y, mean, inv);
  for_chunks(pool, n, rows_per_chunk(h), [&](std::int64_t first, std::int64_t last) {
    active().layernorm(last - first, h, eps, x + first * h, w, b, y + first * h, mean + first, inv + first);
  });
}

void layernorm_grad_input(ThreadPool& pool, std::int64_t n, std::int64_t h, const float* x, const float* w,
                          const float* mean, const float* inv, const float* dy, float* dx, Into into) {
  if (Device* const device = device_of(pool))
    return device->layernorm_grad_input(n, h, x, w, mean, inv, dy, dx, into);
  for_chunks(pool, n, rows_per_chunk(h), [&](std::int64_t a, std::int64_t b) {
    active().layernorm_grad_input(b - a, h, x + a * h, w, mean + a, inv + a, dy + a * h, dx + a * h,
                                  into == Into::kAdd);
  });
}

void layernorm_grad_weight(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts,
                           std::int64_t h, const float* x, const float* mean, const float* inv,
                           const float* dy, float* dw) {
  if (Device* const device = device_of(pool))
    return device->layernorm_grad_weight(rows, row_starts, h, x, mean, inv, dy, dw);
  for_chunks(pool, h, kColumnGrain, [&](std::int64_t a, std::int64_t b) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t start = row_starts[r], at = start * h + a;
      active().layernorm_grad_weight(b - a, row_starts[r + 1] - start, h, x + at, mean + start, inv + start,
                                     dy + at, dw + a);
    }
  });
}

void gelu(ThreadPool& pool, GeluForm form, std::int64_t n, const float* x, float* y) {
  if (Device* const device = device_of(pool)) return device->gelu(form, n, x, y);
  for_chunks(pool, n, kElementGrain,
             [&](std::int64_t a, std::int64_t b) { active().gelu(form, b - a, x + a, y + a); });
}

void gelu_grad(ThreadPool& pool, GeluForm form, std::int64_t n, const float* x, const float* dy, float* dx) {
  if (Device* const device = device_of(pool)) return device->gelu_grad(form, n, x, dy, dx);
  for_chunks(pool, n, kElementGrain,
             [&](std::int64_t a, std::int64_t b) { active().gelu_grad(form, b - a, x + a, dy + a, dx + a); });
}

void swiglu(ThreadPool& pool, std::int64_t n, const float* gate, const float* up, float* y) {
  if (Device* const device = device_of(pool)) return device->swiglu(n, gate, up, y);
  for_chunks(pool, n, kElementGrain,
             [&](std::int64_t a, std::int64_t b) { active().swiglu(b - a, gate + a, up + a, y + a); });
}

void swiglu_grad(ThreadPool& pool, std::int64_t n, const float* gate, const float* up, const float* dy,
                 float* dgate, float* dup) {
  if (Device* const device = device_of(pool)) return device->swiglu_grad(n, gate, up, dy, dgate, dup);
  for_chunks(pool, n, kElementGrain, [&](std::int64_t a, std::int64_t b) {
    active().swiglu_grad(b - a, gate + a, up + a, dy + a, dgate + a, dup + a);
  });
}

void add(ThreadPool& pool, std::int64_t n, const float* a, const float* b, float* y) {
  if (Device* const device = device_of(pool)) return device->add(n, a, b, y);
  for_chunks(pool, n, kElementGrain, [&](std::int64_t first, std::int64_t last) {
    active().add(last - first, a + first, b + first, y + first);
  });
}

void add_bias(ThreadPool& pool, std::int64_t n, std::int64_t h, const float* b, float* x) {
  if (Device* const device = device_of(pool)) return device->add_bias(n, h, b, x);
  for_chunks(pool, n, rows_per_chunk(h), [&](std::int64_t first, std::int64_t last) {
    active().add_bias(last - first, h, b, x + first * h);
  });
}

void bias_grad(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
               const float* dy, float* db) {
  if (Device* const device = device_of(pool)) return device->bias_grad(rows, row_starts, h, dy, db);
  for_chunks(pool, h, kColumnGrain, [&](std::int64_t a, std::int64_t b) {
    for (std::int64_t r = 0; r < rows; ++r)
      active().bias_grad(b - a, row_starts[r + 1] - row_starts[r], h, dy + row_starts[r] * h + a, db + a);
  });
}

void scale(ThreadPool& pool, std::int64_t n, float s, const float* x, float* y) {
  if (Device* const device = device_of(pool)) return device->scale(n, s, x, y);
  for_chunks(pool, n, kElementGrain,
             [&](std::int64_t a, std::int64_t b) { active().scale(b - a, s, x + a, y + a); });
}

void add_scaled(ThreadPool& pool, std::int64_t n, float s, const float* x, float* y) {
  if (Device* const device = device_of(pool)) return device->add_scaled(n, s, x, y);
  for_chunks(pool, n, kElementGrain,
             [&](std::int64_t a, std::int64_t b) { active().add_scaled(b - a, s, x + a, y + a); });
}

void dropout(ThreadPool& pool, const DropoutSite& site, std::int64_t rows, const std::int64_t* row_starts,
             std::int64_t h, const float* x, float* y) {
  if (Device* const device = device_of(pool)) return device->dropout(site, rows, row_starts, h, x, y);
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t start = row_starts[r];
    for_chunks(pool, row_starts[r + 1] - start, rows_per_chunk(4 * h), [&](std::int64_t a, std::int64_t b) {
      const std::int64_t at = (start + a) * h;
      active().dropout(site, b - a, h, a, site.row + static_cast<std::uint32_t>(r), x + at, y + at);
    });
  }
}

void rope(ThreadPool& pool, std::int64_t n, std::int64_t heads, std::int64_t head_dim,
          const std::int32_t* positions, const float* cos, const float* sin, bool inverse, float* x) {
  if (Device* const device = device_of(pool))
    return device->rope(n, heads, head_dim, positions, cos, sin, inverse, x);
  const std::int64_t width = heads * head_dim;
  for_chunks(pool, n, rows_per_chunk(width), [&](std::int64_t a, std::int64_t b) {
    active().rope(b - a, heads, head_dim, positions + a, cos, sin, inverse, x + a * width);
  });
}

void gather_rows(ThreadPool& pool, std::int64_t n, std::int64_t h, const std::int64_t* rows,
                 const float* from, float* to) {
  if (Device* const device = device_of(pool)) return device->gather_rows(n, h, rows, from, to);
  for_chunks(pool, n, rows_per_chunk(h), [&](std::int64_t a, std::int64_t b) {
    for (std::int64_t i = a; i < b; ++i) std::copy_n(from + rows[i] * h, h, to + i * h);
  });
}

void scatter_rows(ThreadPool& pool, std::int64_t n, std::int64_t h, const std::int64_t* rows,
                  const float* from, float* to) {
  if (Device* const device = device_of(pool)) return device->scatter_rows(n, h, rows, from, to);
  for_chunks(pool, n, rows_per_chunk(h), [&](std::int64_t a, std::int64_t b) {
    for (std::int64_t i = a; i < b; ++i) std::copy_n(from + i * h, h, to + rows[i] * h);
  });
}

void embedding(ThreadPool& pool, std::int64_t n, std::int64_t h, const std::int32_t* ids, const float* table,
               float* y) {
  if (Device* const device = device_of(pool)) return device->embedding(n, h, ids, table, y);
  for_chunks(pool, n, rows_per_chunk(h), [&](std::int64_t a, std::int64_t b) {
    active().embedding(b - a, h, ids + a, table, y + a * h);
  });
}

void cross_entropy(ThreadPool& pool, std::int64_t n, std::int64_t vocab, float* logits,
                   const std::int32_t* labels, float inv_predicted, bool grad, float* loss) {
  if (Device* const device = device_of(pool))
    return device->cross_entropy(n, vocab, logits, labels, inv_predicted, grad, loss);
  for_chunks(pool, n, rows_per_chunk(vocab), [&](std::int64_t a, std::int64_t b) {
    active().cross_entropy(b - a, vocab, logits + a * vocab, labels + a, inv_predicted, grad, loss + a);
  });
}

float rowsum(std::int64_t n, const float* x) {
  return active().rowsum(n, x);
}

double sum_squares(ThreadPool& pool, std::int64_t n, const float* x) {
  if (Device* const device = device_of(pool)) return device->sum_squares(n, x);
  constexpr std::int64_t kBlock = 1024;
  std::vector<float> partials(static_cast<std::size_t>((n + kBlock - 1) / kBlock));
  for_chunks(pool, n, kElementGrain, [&](std::int64_t a, std::int64_t b) {
    active().sum_squares(b - a, x + a, partials.data() + a / kBlock);
  });
  double total = 0;
  for (const float partial : partials) total += static_cast<double>(partial);
  return total;
}

bool any_nonfinite(ThreadPool& pool, std::int64_t n, const float* x) {
  if (Device* const device = device_of(pool)) return device->any_nonfinite(n, x);
  std::atomic<bool> found = false;
  for_chunks(pool, n, kElementGrain, [&](std::int64_t a, std::int64_t b) {
    if (active().any_nonfinite(b - a, x + a)) found = true;
  });
  return found;
}

bool adamw(ThreadPool& pool, const AdamW& op, std::int64_t n, float* p, float* m, float* v, const float* g) {
  if (Device* const device = device_of(pool)) return device->adamw(op, n, p, m, v, g);
  std::atomic<bool> finite = true;
  for_chunks(pool, n, kElementGrain, [&](std::int64_t a, std::int64_t b) {
    if (!active().adamw(op, b - a, p + a, m + a, v + a, g + a)) finite = false;
  });
  return finite;
}

bool sgd(ThreadPool& pool, const Sgd& op, std::int64_t n, float* p, float* momentum_buffer, const float* g) {
  if (Device* const device = device_of(pool)) return device->sgd(op, n, p, momentum_buffer, g);
  std::atomic<bool> finite = true;
  for_chunks(pool, n, kElementGrain, [&](std::int64_t a, std::int64_t b) {
    float* const buffer = momentum_buffer == nullptr ? nullptr : momentum_buffer + a;
    if (!active().sgd(op, b - a, p + a, buffer, g + a)) finite = false;
  });
  return finite;
}

}  // namespace aftune::kernels
