#include <limits>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "data/dataset.h"

namespace aftune::data {
namespace {

// Rows under construction: closed ones, and the tokens of the one that is still open.
class BatchBuilder {
 public:
  explicit BatchBuilder(std::int64_t from) {
    batch_.from = batch_.to = from;
    batch_.rows.doc_starts = {0};
    batch_.rows.row_starts = {0};
  }

  std::int64_t next_position() const { return batch_.to; }
  std::int64_t open_row_tokens() const { return tokens() - batch_.rows.row_starts.back(); }
  std::int64_t closed_rows() const { return batch_.rows.rows(); }

  void close_row() { batch_.rows.row_starts.push_back(tokens()); }

  void append(const Document& document) {
    Rows& rows = batch_.rows;
    const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
    append(rows.tokens, document.tokens);
    append(rows.labels, document.labels);
    append(rows.pixels, document.pixels);
    rows.positions.resize(rows.labels.size());
    std::iota(rows.positions.begin() + rows.doc_starts.back(), rows.positions.end(), 0);
    rows.doc_starts.push_back(tokens());
    batch_.predicted += document.predicted();
    ++batch_.to;
  }

  std::int64_t tokens() const { return std::ssize(batch_.rows.labels); }
  Batch finish() { return std::move(batch_); }

 private:
  Batch batch_;
};

}  // namespace

Batch make_batch(const Dataset& dataset, const Encoder& encoder, const Order& order,
                 const record::Recipe& recipe, std::int64_t from) {
  std::string room;
  return make_batch([&](std::int64_t row) { return dataset.row(row, room); }, encoder, order, recipe, from,
                    std::numeric_limits<std::int64_t>::max());
}

Batch make_batch(const RowSource& rows, const Encoder& encoder, const Order& order,
                 const record::Recipe& recipe, std::int64_t from, std::int64_t max_tokens) {
  AFTUNE_CHECK(recipe.batch_size > 0);
  BatchBuilder batch(from);
  while (batch.closed_rows() < recipe.batch_size) {
    const std::int64_t row = order.row_at(batch.next_position());
    const Document document = encoder.encode(rows(row), row);
    const bool fits = batch.open_row_tokens() + document.length() <= recipe.seq_len;
    if (recipe.packing && batch.open_row_tokens() > 0 && !fits) {
      batch.close_row();
      if (batch.closed_rows() == recipe.batch_size) break;
    }
    if (document.length() > max_tokens - batch.tokens())
      fail(Fault::kUsage, "the rows make more than ", max_tokens, " tokens");
    batch.append(document);
    if (!recipe.packing) batch.close_row();
  }
  return batch.finish();
}

}  // namespace aftune::data
