#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "data/rows.h"
#include "model/head.h"
#include "model/norm.h"
#include "model/products.h"

namespace aftune::model {

/// The head of a language model: final norm, lm_head and cross-entropy, forward and backward in one pass over
/// chunks of whole rows, so that the logits of a batch never exist at once. Positions that predict nothing
/// cost nothing: their logits are not made. Its own tensors are the norm's, then lm_head unless it is tied.
class LmHead : public Head {
 public:
  /// Logits that may exist at once: 8 MiB. A single row is never cut.
  static constexpr std::int64_t kMaxLogits = std::int64_t{1} << 21;

  LmHead(const StageContext& with, std::unique_ptr<Norm> norm, std::int64_t max_logits = kMaxLogits)
      : with_(with), norm_(std::move(norm)), max_logits_(max_logits) {}

  /// [n, vocab].
  Matrix logits(const HeadTensors& p, const Matrix& x) override;
  HeadResult run(const HeadTensors& p, const data::Rows& rows, const Matrix& x, float inv_predicted,
                 bool learn) override;

 private:
  struct Chunk;
  struct Pass;
  const Parameter& matrix_of(const HeadTensors& p) const;
  Weight weight_of(const HeadTensors& p) const;
  void run_chunk(const Pass& pass, const Chunk& chunk, Matrix& d_normed,
                 std::vector<double>& row_losses) const;
  void check(const data::Rows& rows) const;

  const StageContext with_;
  const std::unique_ptr<Norm> norm_;
  const std::int64_t max_logits_;
};

}  // namespace aftune::model
