#include "model/lm_head.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "kernels/ops.h"

namespace aftune::model {

// The predicted positions of some rows: where they are, what they predict, and where each row's begin among
// them.
struct LmHead::Chunk {
  std::vector<std::int64_t> at;
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> row_starts{0};

  // Whole rows from `row` on, which is moved behind them: at least one, then while `positions` hold them.
  static Chunk from(const data::Rows& rows, std::int64_t& row, std::int64_t positions) {
    Chunk chunk;
    do {
      for (std::int64_t i = rows.row_starts[row]; i < rows.row_starts[row + 1]; ++i) {
        if (rows.labels[i] == data::kNoLabel) continue;
        chunk.at.push_back(i);
        chunk.labels.push_back(rows.labels[i]);
      }
      chunk.row_starts.push_back(static_cast<std::int64_t>(chunk.at.size()));
      ++row;
    } while (row < rows.rows() &&
             std::ssize(chunk.at) + rows.row_starts[row + 1] - rows.row_starts[row] <= positions);
    return chunk;
  }
};

// What all chunks of a pass compute with.
struct LmHead::Pass {
  const HeadTensors& p;
  const std::vector<std::int32_t>& labels;  // of all rows
  const Matrix& normed;
  Buffer* d_weight;  // null: it is frozen or nothing is learnt
  float inv_predicted;
  bool learn;
};

const Parameter& LmHead::matrix_of(const HeadTensors& p) const {
  return p.tied != nullptr ? *p.tied : p.own[norm_->tensors()];
}

Weight LmHead::weight_of(const HeadTensors& p) const {
  const Parameter& matrix = matrix_of(p);
  return {matrix.spec.name, matrix.value, matrix.spec.shape[0], matrix.spec.shape[1], false, &matrix.narrow};
}

void LmHead::run_chunk(const Pass& pass, const Chunk& chunk, Matrix& d_normed,
                       std::vector<double>& row_losses) const {
  const Weight weight = weight_of(pass.p);
  const std::string_view name = weight.name;
  const Matrix& normed = pass.normed;
  Matrix x(std::ssize(chunk.at), normed.cols);
  observed(with_.ops, {OpKind::kGather, name, normed.rows}, {bytes_of(pass.labels), normed.bytes()},
           {x.bytes(), bytes_of(chunk.labels)}, [&] {
             kernels::gather_rows(with_.pool, x.rows, x.cols, chunk.at.data(), normed.data(), x.data());
           });
  std::optional<Products::Input> input(std::in_place, with_.products, x);
  Matrix logits = with_.products.linear(weight, *input);
  Buffer loss(x.rows);
  observed(with_.ops, {OpKind::kCrossEntropy, name, x.rows}, {bytes_of(chunk.labels), logits.bytes()},
           {loss.bytes(), logits.bytes()}, [&] {
             kernels::cross_entropy(with_.pool, x.rows, logits.cols, logits.data(), chunk.labels.data(),
                                    pass.inv_predicted, pass.learn, loss.data());
           });
  with_.pool.wait_for_accelerator();
  for (std::size_t r = 0; r + 1 < chunk.row_starts.size(); ++r) {
    const std::int64_t first = chunk.row_starts[r], count = chunk.row_starts[r + 1] - first;
    double& sum = row_losses.emplace_back();
    observed(with_.ops, {OpKind::kRowLoss, name, x.rows}, {loss.bytes()}, {std::as_bytes(std::span(&sum, 1))},
             [&] { sum = kernels::rowsum(count, loss.data() + first); });
  }
  if (!pass.learn) return;
  const Matrix& d_logits = logits;  // cross_entropy put them there
  if (pass.d_weight != nullptr)
    with_.products.grad_weight(weight, chunk.row_starts, d_logits, *input, *pass.d_weight);
  input.reset();
  Matrix& dx = x;  // no longer needed: its memory takes its gradient
  with_.products.grad_input(weight, d_logits, dx, kernels::Into::kStore);
  observed(with_.ops, {OpKind::kScatter, name, d_normed.rows}, {bytes_of(pass.labels), dx.bytes()},
           {d_normed.bytes()}, [&] {
             kernels::scatter_rows(with_.pool, dx.rows, dx.cols, chunk.at.data(), dx.data(), d_normed.data());
           });
}

Matrix LmHead::logits(const HeadTensors& p, const Matrix& x) {
  NormFactors factors;
  const Matrix normed = norm_->forward(p.own, x, factors);
  Products::Input input(with_.products, normed);
  return with_.products.linear(weight_of(p), input);
}

// Whoever made the rows has checked them; an index beyond a table must not get as far as the kernels.
void LmHead::check(const data::Rows& rows) const {
  const auto known = [vocab = with_.config.vocab](std::int32_t id) {
    return id >= data::kNoLabel && id < vocab;
  };
  AFTUNE_CHECK(std::ssize(rows.labels) == rows.size());
  AFTUNE_CHECK(std::all_of(rows.labels.begin(), rows.labels.end(), known));
}

HeadResult LmHead::run(const HeadTensors& p, const data::Rows& rows, const Matrix& x, float inv_predicted,
                       bool learn) {
  check(rows);
  NormFactors factors;
  Matrix normed = norm_->forward(p.own, x, factors), d_normed;
  if (learn) {
    d_normed = Matrix(x.rows, x.cols);
    d_normed.values.clear(with_.pool);
  }
  const bool tied = p.tied != nullptr;
  Buffer* const d_weight = !learn || p.frozen ? nullptr
                           : tied             ? p.tied_gradient
                                              : &p.own[norm_->tensors()].gradient;
  const Pass pass{p, rows.labels, normed, d_weight, inv_predicted, learn};
  HeadResult result;
  for (std::int64_t row = 0; row < rows.rows();)
    run_chunk(pass, Chunk::from(rows, row, max_logits_ / with_.config.vocab), d_normed, result.row_losses);
  if (!learn) return result;
  result.d_input = std::move(normed);  // no longer needed: its memory takes the gradient
  norm_->backward(p.own, p.frozen, rows, x, factors, d_normed, result.d_input, kernels::Into::kStore);
  return result;
}

}  // namespace aftune::model
