#include "model/llama_head.h"

#include <algorithm>
#include <cstring>

#include "kernels/ops.h"

namespace aftune::model {
namespace {

// Logits of a chunk take at most this many elements (64 MiB), or one row's if a row needs more.
constexpr std::int64_t kMaxLogits = std::int64_t{1} << 24;

}  // namespace

// The predicted positions of some rows: where they are, what they predict, and where each row's begin among
// them.
struct LlamaHead::Chunk {
  std::vector<std::int64_t> at;
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> row_starts{0};

  static Chunk from(const data::Rows& rows, std::int64_t& row, std::int64_t vocab) {
    Chunk chunk;
    do {
      for (std::int64_t i = rows.row_starts[row]; i < rows.row_starts[row + 1]; ++i) {
        if (rows.labels[i] == data::kNoLabel) continue;
        chunk.at.push_back(i);
        chunk.labels.push_back(rows.labels[i]);
      }
      chunk.row_starts.push_back(static_cast<std::int64_t>(chunk.at.size()));
      ++row;
    } while (row < rows.rows() && fits(chunk, rows.row_starts[row + 1] - rows.row_starts[row], vocab));
    return chunk;
  }
  static bool fits(const Chunk& chunk, std::int64_t more, std::int64_t vocab) {
    return (static_cast<std::int64_t>(chunk.at.size()) + more) * vocab <= kMaxLogits;
  }
  std::int64_t size() const { return static_cast<std::int64_t>(at.size()); }
};

void LlamaHead::run_chunk(const Buffer& weight, Buffer* d_weight, const Chunk& chunk, const Matrix& normed,
                          float inv_predicted, Matrix* d_normed, std::vector<double>& row_losses) const {
  const std::int64_t n = chunk.size(), hidden = config_.hidden, vocab = config_.vocab;
  Matrix x(n, hidden), logits(n, vocab);
  for (std::int64_t i = 0; i < n; ++i)
    std::memcpy(x.row(i), normed.row(chunk.at[i]), static_cast<std::size_t>(hidden) * sizeof(float));
  kernels::linear(pool_, n, hidden, vocab, x.data(), weight.data(), logits.data());
  Buffer loss(n);
  kernels::cross_entropy(pool_, n, vocab, logits.data(), chunk.labels.data(), inv_predicted,
                         d_normed != nullptr, loss.data());
  for (std::size_t r = 0; r + 1 < chunk.row_starts.size(); ++r)
    row_losses.push_back(
        kernels::rowsum(chunk.row_starts[r + 1] - chunk.row_starts[r], loss.data() + chunk.row_starts[r]));
  if (d_normed == nullptr) return;
  kernels::linear_grad_weight(pool_, static_cast<std::int64_t>(chunk.row_starts.size()) - 1,
                              chunk.row_starts.data(), hidden, vocab, logits.data(), x.data(),
                              d_weight->data());
  kernels::linear_grad_input(pool_, n, hidden, vocab, logits.data(), weight.data(), x.data(),
                             kernels::Into::kStore);
  for (std::int64_t i = 0; i < n; ++i)
    std::memcpy(d_normed->row(chunk.at[i]), x.row(i), static_cast<std::size_t>(hidden) * sizeof(float));
}

HeadResult LlamaHead::run(Parameter& norm, const Buffer& weight, Buffer* d_weight, const data::Rows& rows,
                          const Matrix& x, float inv_predicted, bool learn) const {
  const std::int64_t n = x.rows, hidden = config_.hidden;
  Matrix normed(n, hidden), d_normed;
  Buffer inv_rms(n);
  kernels::rmsnorm(pool_, n, hidden, config_.rms_eps, x.data(), norm.value.data(), normed.data(),
                   inv_rms.data());
  if (learn) {
    d_normed.rows = n;
    d_normed.cols = hidden;
    d_normed.values = Buffer::zeros(n * hidden);
  }
  HeadResult result;
  for (std::int64_t row = 0; row < rows.rows();) {
    const Chunk chunk = Chunk::from(rows, row, config_.vocab);
    run_chunk(weight, d_weight, chunk, normed, inv_predicted, learn ? &d_normed : nullptr, result.row_losses);
  }
  if (!learn) return result;
  kernels::rmsnorm_grad_weight(pool_, rows.rows(), rows.row_starts.data(), hidden, x.data(), inv_rms.data(),
                               d_normed.data(), norm.gradient.data());
  result.d_input = Matrix(n, hidden);
  kernels::rmsnorm_grad_input(pool_, n, hidden, x.data(), norm.value.data(), inv_rms.data(), d_normed.data(),
                              result.d_input.data(), kernels::Into::kStore);
  return result;
}

}  // namespace aftune::model
