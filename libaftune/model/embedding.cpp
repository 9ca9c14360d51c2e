#include "model/embedding.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/ops.h"

namespace aftune::model {

namespace {

// The op is a copy, and so is this, of elements that are widened on the way.
void narrow_rows(const Parameter& table, const std::vector<std::int32_t>& ids, Matrix& x) {
  const std::size_t bytes = static_cast<std::size_t>(x.cols) * size_of(table.narrow.dtype);
  for (std::int64_t i = 0; i < x.rows; ++i)
    widen(table.narrow.dtype,
          ByteView(table.narrow.bytes).subspan(static_cast<std::size_t>(ids[i]) * bytes, bytes), x.row(i));
}

}  // namespace

Matrix Lookup::forward(const Parameter& table, const std::vector<std::int32_t>& ids) const {
  const std::int64_t n = std::ssize(ids), entries = table.spec.shape[0], width = table.spec.shape[1];
  AFTUNE_CHECK(std::all_of(ids.begin(), ids.end(), [=](auto id) { return id >= 0 && id < entries; }));
  Matrix x(n, width);
  if (!table.narrow.empty()) {
    with_.pool.wait_for_accelerator();
    narrow_rows(table, ids, x);
    return x;
  }
  observed(with_.ops, {OpKind::kEmbedding, table.spec.name, n}, {bytes_of(ids), table.value.bytes()},
           {x.bytes()},
           [&] { kernels::embedding(with_.pool, n, width, ids.data(), table.value.data(), x.data()); });
  return x;
}

void Lookup::backward(Parameter& table, const data::Rows& rows, const std::vector<std::int32_t>& ids,
                      const Matrix& dy) const {
  observed(with_.ops, {OpKind::kEmbeddingGrad, table.spec.name, rows.size()},
           {bytes_of(ids), dy.bytes(), table.gradient.bytes()}, {table.gradient.bytes()}, [&] {
             kernels::embedding_grad(with_.pool, rows.rows(), rows.row_starts.data(), dy.cols, ids.data(),
                                     dy.data(), table.gradient.data());
           });
}

Matrix TokenEmbedding::forward(const Parameter* p, const data::Rows& rows) {
  AFTUNE_CHECK(std::ssize(rows.tokens) == rows.size());
  return lookup_.forward(p[0], rows.tokens);
}

void TokenEmbedding::backward(Parameter* p, const data::Rows& rows, const Matrix& dy) {
  lookup_.backward(p[0], rows, rows.tokens, dy);
}

}  // namespace aftune::model
