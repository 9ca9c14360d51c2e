#include "model/attention.h"

#include <cmath>
#include <vector>

namespace aftune::model {
namespace {

std::int64_t documents(const data::Rows& rows) {
  return static_cast<std::int64_t>(rows.doc_starts.size()) - 1;
}

}  // namespace

kernels::AttentionShape attention_shape(const Config& config) {
  // Square root and division round correctly everywhere, so std::sqrt is safe here.
  const double scale = 1.0 / std::sqrt(static_cast<double>(config.head_dim));
  return {config.heads, config.kv_heads, config.head_dim, static_cast<float>(scale), !config.images};
}

void Attention::make_room(AttentionActivations& a) const {
  const std::int64_t n = a.q.rows;
  a.out = Matrix(n, a.q.cols);
  a.max = Buffer(n * with_.config.heads);
  a.sum = Buffer(n * with_.config.heads);
}

void Attention::forward(std::string_view at, const data::Rows& rows, AttentionActivations& a) const {
  make_room(a);
  observed(with_.ops, {OpKind::kAttention, at, a.q.rows},
           {bytes_of(rows.positions), a.q.bytes(), a.k.bytes(), a.v.bytes()},
           {a.out.bytes(), a.max.bytes(), a.sum.bytes()}, [&] {
             kernels::attention(with_.pool, attention_shape(with_.config), documents(rows),
                                rows.doc_starts.data(), a.q.data(), a.k.data(), a.v.data(), a.out.data(),
                                a.max.data(), a.sum.data());
           });
}

void Attention::continued(std::span<KvCache* const> caches, int layer, const data::Rows& rows,
                          AttentionActivations& a) const {
  std::vector<kernels::AttentionContinuation> parts;
  for (std::size_t i = 0; i < caches.size(); ++i) {
    KvCache& cache = *caches[i];
    const std::int64_t row = rows.doc_starts[i], count = rows.doc_starts[i + 1] - row;
    cache.append(with_.pool, layer, count, a.k.row(row), a.v.row(row));
    parts.push_back({row, count, cache.length(), cache.keys(layer), cache.values(layer)});
  }
  make_room(a);
  kernels::attention_continued(with_.pool, attention_shape(with_.config), parts, a.q.data(), a.out.data(),
                               a.max.data(), a.sum.data());
}

Attention::Gradients Attention::backward(std::string_view at, const data::Rows& rows, AttentionActivations& a,
                                         Matrix d_out) const {
  Gradients d{Matrix(a.q.rows, a.q.cols), Matrix(a.k.rows, a.k.cols), Matrix(a.v.rows, a.v.cols)};
  observed(with_.ops, {OpKind::kAttentionGrad, at, a.q.rows},
           {bytes_of(rows.positions), a.q.bytes(), a.k.bytes(), a.v.bytes(), a.out.bytes(), a.max.bytes(),
            a.sum.bytes(), d_out.bytes()},
           {d.q.bytes(), d.k.bytes(), d.v.bytes()}, [&] {
             kernels::attention_grad(with_.pool, attention_shape(with_.config), documents(rows),
                                     rows.doc_starts.data(), a.q.data(), a.k.data(), a.v.data(), a.out.data(),
                                     a.max.data(), a.sum.data(), d_out.data(), d.q.data(), d.k.data(),
                                     d.v.data());
           });
  release(d_out, a.out, a.q, a.k, a.v);
  return d;
}

}  // namespace aftune::model
