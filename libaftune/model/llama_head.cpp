#include "model/llama_head.h"

#include <algorithm>
#include <optional>

#include "kernels/ops.h"

namespace aftune::model {
namespace {

template <class T>
ByteView bytes_of(const std::vector<T>& list) {
  return std::as_bytes(std::span(list));
}

}  // namespace

// The predicted positions of some rows: where they are, what they predict, and where each row's begin among
// them.
struct LlamaHead::Chunk {
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

void LlamaHead::run_chunk(const HeadWeights& weights, const std::vector<std::int32_t>& labels,
                          const Chunk& chunk, float inv_predicted, const Matrix& normed, Matrix& d_normed,
                          std::vector<double>& row_losses) const {
  const bool learn = weights.learn();
  const std::string_view name = weights.weight_name;
  Matrix x(std::ssize(chunk.at), normed.cols);
  observed(ops_, {OpKind::kGather, name, normed.rows}, {bytes_of(labels), normed.bytes()},
           {x.bytes(), bytes_of(chunk.labels)},
           [&] { kernels::gather_rows(pool_, x.rows, x.cols, chunk.at.data(), normed.data(), x.data()); });
  const Weight weight{name, weights.weight, config_.vocab, config_.hidden};
  std::optional<Products::Input> input(std::in_place, products_, x);
  Matrix logits = products_.linear(weight, *input);
  Buffer loss(x.rows);
  observed(ops_, {OpKind::kCrossEntropy, name, x.rows}, {bytes_of(chunk.labels), logits.bytes()},
           {loss.bytes(), logits.bytes()}, [&] {
             kernels::cross_entropy(pool_, x.rows, logits.cols, logits.data(), chunk.labels.data(),
                                    inv_predicted, learn, loss.data());
           });
  for (std::size_t r = 0; r + 1 < chunk.row_starts.size(); ++r) {
    const std::int64_t first = chunk.row_starts[r], count = chunk.row_starts[r + 1] - first;
    double& sum = row_losses.emplace_back();
    observed(ops_, {OpKind::kRowLoss, name, x.rows}, {loss.bytes()}, {std::as_bytes(std::span(&sum, 1))},
             [&] { sum = kernels::rowsum(count, loss.data() + first); });
  }
  if (!learn) return;
  const Matrix& d_logits = logits;  // cross_entropy put them there
  if (!weights.frozen) products_.grad_weight(weight, chunk.row_starts, d_logits, *input, *weights.d_weight);
  input.reset();
  Matrix& dx = x;  // no longer needed: its memory takes its gradient
  products_.grad_input(weight, d_logits, dx, kernels::Into::kStore);
  observed(
      ops_, {OpKind::kScatter, name, d_normed.rows}, {bytes_of(labels), dx.bytes()}, {d_normed.bytes()},
      [&] { kernels::scatter_rows(pool_, dx.rows, dx.cols, chunk.at.data(), dx.data(), d_normed.data()); });
}

Matrix LlamaHead::normalise(const Parameter& norm, const Matrix& x, Buffer& inv_rms) const {
  Matrix normed(x.rows, x.cols);
  inv_rms = Buffer(x.rows);
  observed(ops_, {OpKind::kRmsNorm, norm.spec.name, x.rows}, {x.bytes(), norm.value.bytes()},
           {normed.bytes(), inv_rms.bytes()}, [&] {
             kernels::rmsnorm(pool_, x.rows, x.cols, config_.rms_eps, x.data(), norm.value.data(),
                              normed.data(), inv_rms.data());
           });
  return normed;
}

Matrix LlamaHead::logits(const Parameter& norm, const Weight& weight, const Matrix& x) const {
  Buffer inv_rms;
  const Matrix normed = normalise(norm, x, inv_rms);
  Products::Input input(products_, normed);
  return products_.linear(weight, input);
}

HeadResult LlamaHead::run(const HeadWeights& weights, const data::Rows& rows, const Matrix& x,
                          float inv_predicted) const {
  const std::int64_t n = x.rows, hidden = config_.hidden;
  Parameter& norm = weights.norm;
  Buffer inv_rms;
  Matrix normed = normalise(norm, x, inv_rms), d_normed;
  const bool learn = weights.learn();
  if (learn) {
    d_normed = Matrix(n, hidden);
    d_normed.values.clear(pool_);
  }
  HeadResult result;
  for (std::int64_t row = 0; row < rows.rows();)
    run_chunk(weights, rows.labels, Chunk::from(rows, row, max_logits_ / config_.vocab), inv_predicted,
              normed, d_normed, result.row_losses);
  if (!learn) return result;
  if (!weights.frozen)
    observed(ops_, {OpKind::kRmsNormGradWeight, norm.spec.name, n},
             {x.bytes(), inv_rms.bytes(), d_normed.bytes(), norm.gradient.bytes()}, {norm.gradient.bytes()},
             [&] {
               kernels::rmsnorm_grad_weight(pool_, rows.rows(), rows.row_starts.data(), hidden, x.data(),
                                            inv_rms.data(), d_normed.data(), norm.gradient.data());
             });
  result.d_input = std::move(normed);  // no longer needed: its memory takes the gradient
  observed(ops_, {OpKind::kRmsNormGradInput, norm.spec.name, n},
           {x.bytes(), norm.value.bytes(), inv_rms.bytes(), d_normed.bytes()}, {result.d_input.bytes()}, [&] {
             kernels::rmsnorm_grad_input(pool_, n, hidden, x.data(), norm.value.data(), inv_rms.data(),
                                         d_normed.data(), result.d_input.data(), kernels::Into::kStore);
           });
  return result;
}

}  // namespace aftune::model
