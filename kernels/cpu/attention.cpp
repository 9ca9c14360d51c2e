#include "kernels/cpu/attention.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "kernels/cpu/tasks.h"
#include "kernels/cpu/workspace.h"
#include "kernels/device.h"
#include "kernels/ops.h"

namespace aftune::kernels {
namespace {

// Queries, or keys, of a task where a document is cut.
constexpr std::int64_t kTaskLength = 512;

const AttentionTable& forward_table(Isa isa) {
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512) return avx512::attention_table;
  if (isa == Isa::kAvx2) return avx2::attention_table;
#endif
  static_cast<void>(isa);
  return scalar::attention_table;
}

const AttentionGradTable& backward_table(Isa isa) {
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512) return avx512::attention_grad_table;
  if (isa == Isa::kAvx2) return avx2::attention_grad_table;
#endif
  static_cast<void>(isa);
  return scalar::attention_grad_table;
}

/// Where a head of a document lies in the tensors.
struct Place {
  std::int64_t q = 0, kv = 0, stat = 0;
};

Place place(const AttentionBatch& batch, std::int64_t document, std::int64_t head) {
  const std::int64_t token = batch.doc_starts[document], d = batch.head_dim;
  const std::int64_t kv_head = head / (batch.heads / batch.kv_heads);
  return {(token * batch.heads + head) * d, (token * batch.kv_heads + kv_head) * d,
          token * batch.heads + head};
}

std::int64_t length(const AttentionBatch& batch, std::int64_t document) {
  return batch.doc_starts[document + 1] - batch.doc_starts[document];
}

AttentionHead head_at(const AttentionBatch& batch, std::int64_t document, std::int64_t head) {
  const Place at = place(batch, document, head);
  AttentionHead view;
  view.length = length(batch, document);
  view.head_dim = batch.head_dim;
  view.q_stride = batch.heads * batch.head_dim;
  view.kv_stride = batch.kv_heads * batch.head_dim;
  view.stat_stride = batch.heads;
  view.scale = batch.scale;
  view.q = batch.q + at.q;
  view.k = batch.k + at.kv;
  view.v = batch.v + at.kv;
  view.causal = batch.causal;
  return view;
}

AttentionGrads grads_at(const AttentionGrads& grads, const Place& at) {
  AttentionGrads view = grads;
  view.o += at.q;
  view.max += at.stat;
  view.sum += at.stat;
  view.d_o += at.q;
  view.dq += at.q;
  view.dk += at.kv;
  view.dv += at.kv;
  return view;
}

/// A stretch of one head's queries or keys.
struct Task {
  std::int64_t document = 0, head = 0, first = 0, last = 0;
};

std::vector<Task> cut(const AttentionBatch& batch, std::int64_t heads, std::int64_t task_length) {
  std::vector<Task> tasks;
  for (std::int64_t document = 0; document < batch.documents; ++document)
    for (std::int64_t head = 0; head < heads; ++head)
      for (std::int64_t first = 0; first < length(batch, document); first += task_length)
        tasks.push_back({document, head, first, std::min(first + task_length, length(batch, document))});
  return tasks;
}

template <class F>
void run_tasks(ThreadPool& pool, const std::vector<Task>& tasks, const F& f) {
  pool.run(static_cast<std::int64_t>(tasks.size()),
           [&](std::int64_t i) { f(tasks[static_cast<std::size_t>(i)]); });
}

class Backward {
 public:
  Backward(Isa isa, const AttentionBatch& batch, const AttentionGrads& grads)
      : table_(backward_table(isa)), batch_(batch), grads_(grads), group_(batch.heads / batch.kv_heads) {}

  /// dk and dv of the task's keys of a kv head, with dq of all queries of its heads if `with_dq`.
  void key_part(const Task& task, bool with_dq) const {
    const std::int64_t first_head = task.head * group_;
    const AttentionHead head = head_at(batch_, task.document, first_head);
    const AttentionGrads own = grads_at(grads_, place(batch_, task.document, first_head));
    fill_zeros(head, task, own.dk);
    fill_zeros(head, task, own.dv);
    const AttentionPart seen{head.causal ? task.first : 0, head.length, task.first, task.last, head.causal};
    for (std::int64_t i = 0; i < group_; ++i) part(task.document, first_head + i, seen, with_dq, true);
    complete(head, task, own.dk);
    complete(head, task, own.dv);
  }

  /// dq of the task's queries of a head.
  void query_part(const Task& task) const {
    const std::int64_t keys = batch_.causal ? task.last : length(batch_, task.document);
    part(task.document, task.head, {task.first, task.last, 0, keys, batch_.causal}, true, false);
  }

 private:
  void part(std::int64_t document, std::int64_t head, const AttentionPart& part, bool with_dq,
            bool with_dkv) const {
    const AttentionHead view = head_at(batch_, document, head);
    AttentionGrads own = grads_at(grads_, place(batch_, document, head));
    if (!with_dq) own.dq = nullptr;
    if (!with_dkv) own.dk = own.dv = nullptr;
    table_.backward(view, own, part, scratch(Scratch::kAttention, table_.backward_scratch(view, part)));
  }

  static void fill_zeros(const AttentionHead& head, const Task& keys, float* rows) {
    for (std::int64_t key = keys.first; key < keys.last; ++key)
      std::fill_n(rows + key * head.kv_stride, head.head_dim, 0.0f);
  }

  // A chain's last step: -0 becomes +0.
  static void complete(const AttentionHead& head, const Task& keys, float* rows) {
    for (std::int64_t key = keys.first; key < keys.last; ++key)
      for (std::int64_t i = 0; i < head.head_dim; ++i) rows[key * head.kv_stride + i] += 0.0f;
  }

  const AttentionGradTable& table_;
  const AttentionBatch& batch_;
  const AttentionGrads& grads_;
  std::int64_t group_;
};

}  // namespace

void attention_forward(ThreadPool& pool, Isa isa, const AttentionBatch& batch, float* o, float* max,
                       float* sum) {
  const AttentionTable& table = forward_table(isa);
  run_tasks(pool, cut(batch, batch.heads, kTaskLength), [&](const Task& task) {
    const AttentionHead head = head_at(batch, task.document, task.head);
    const Place at = place(batch, task.document, task.head);
    table.forward(head, task.first, task.last, o + at.q, max + at.stat, sum + at.stat,
                  scratch(Scratch::kAttention, table.forward_scratch(head, task.first, task.last)));
  });
}

void attention_continuation(ThreadPool& pool, Isa isa, const AttentionShape& shape, std::int64_t documents,
                            const AttentionContinuation* parts, const float* q, float* o, float* max,
                            float* sum) {
  const std::int64_t d = shape.head_dim, group = shape.heads / shape.kv_heads;
  const AttentionTable& table = forward_table(isa);
  std::vector<Task> tasks;
  std::int64_t scores = 0;
  for (std::int64_t document = 0; document < documents; ++document) {
    const AttentionContinuation& part = parts[document];
    const std::int64_t end = part.first + part.count;
    scores += part.count * end;
    for (std::int64_t head = 0; head < shape.heads; ++head)
      for (std::int64_t first = part.first; first < end; first += kTaskLength)
        tasks.push_back({document, head, first, std::min(first + kTaskLength, end)});
  }
  const bool small = scores * shape.heads * d < kSmallProduct;
  run_tasks(pool, small, std::ssize(tasks), [&](std::int64_t i) {
    const Task& task = tasks[static_cast<std::size_t>(i)];
    const AttentionContinuation& part = parts[task.document];
    AttentionHead head;
    head.length = part.first + part.count;
    head.head_dim = d;
    head.q_first = part.first;
    head.q_stride = shape.heads * d;
    head.kv_stride = shape.kv_heads * d;
    head.stat_stride = shape.heads;
    head.scale = shape.scale;
    const std::int64_t own = (part.row * shape.heads + task.head) * d, kv = task.head / group * d;
    head.q = q + own;
    head.k = part.k + kv;
    head.v = part.v + kv;
    const std::int64_t stat = part.row * shape.heads + task.head;
    table.forward(head, task.first, task.last, o + own, max + stat, sum + stat,
                  scratch(Scratch::kAttention, table.forward_scratch(head, task.first, task.last)));
  });
}

// A task per kv head of a document forms all gradients from one computation of the probabilities. Where that
// gives too few tasks, documents are cut, by keys for dk and dv and by queries for dq, and the probabilities
// computed twice.
void attention_backward(ThreadPool& pool, Isa isa, const AttentionBatch& batch, const AttentionGrads& grads) {
  const Backward backward(isa, batch, grads);
  if (batch.documents * batch.kv_heads >= pool.threads()) {
    constexpr std::int64_t kWhole = INT64_MAX / 2;
    run_tasks(pool, cut(batch, batch.kv_heads, kWhole),
              [&](const Task& task) { backward.key_part(task, true); });
    return;
  }
  run_tasks(pool, cut(batch, batch.kv_heads, kTaskLength),
            [&](const Task& task) { backward.key_part(task, false); });
  run_tasks(pool, cut(batch, batch.heads, kTaskLength), [&](const Task& task) { backward.query_part(task); });
}

void attention(ThreadPool& pool, const AttentionShape& shape, std::int64_t documents,
               const std::int64_t* doc_starts, const float* q, const float* k, const float* v, float* o,
               float* max, float* sum) {
  if (Device* const device = device_of(pool))
    return device->attention(shape, documents, doc_starts, q, k, v, o, max, sum);
  attention_forward(pool, active_isa(),
                    {shape.heads, shape.kv_heads, shape.head_dim, shape.scale, documents, doc_starts, q, k, v,
                     shape.causal},
                    o, max, sum);
}

void attention_continued(ThreadPool& pool, const AttentionShape& shape,
                         std::span<const AttentionContinuation> documents, const float* q, float* o,
                         float* max, float* sum) {
  AFTUNE_CHECK(shape.causal);  // nothing is known yet of keys to come
  if (Device* const device = device_of(pool))
    return device->attention_continued(shape, documents, q, o, max, sum);
  attention_continuation(pool, active_isa(), shape, std::ssize(documents), documents.data(), q, o, max, sum);
}

void attention_grad(ThreadPool& pool, const AttentionShape& shape, std::int64_t documents,
                    const std::int64_t* doc_starts, const float* q, const float* k, const float* v,
                    const float* o, const float* max, const float* sum, const float* d_o, float* dq,
                    float* dk, float* dv) {
  if (Device* const device = device_of(pool))
    return device->attention_grad(shape, documents, doc_starts, q, k, v, o, max, sum, d_o, dq, dk, dv);
  attention_backward(pool, active_isa(),
                     {shape.heads, shape.kv_heads, shape.head_dim, shape.scale, documents, doc_starts, q, k,
                      v, shape.causal},
                     {o, max, sum, d_o, dq, dk, dv});
}

}  // namespace aftune::kernels
