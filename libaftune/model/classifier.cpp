#include "model/classifier.h"

#include <limits>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "kernels/image_ops.h"
#include "kernels/ops.h"
#include "model/projections.h"

namespace aftune::model {
namespace {

using kernels::Into;

// The unit's tensors.
constexpr int kWeight = 2, kBias = 3;

// Rows of one position each.
data::Rows single_rows(std::int64_t count) {
  data::Rows rows;
  rows.row_starts.resize(static_cast<std::size_t>(count + 1));
  std::iota(rows.row_starts.begin(), rows.row_starts.end(), 0);
  return rows;
}

}  // namespace

Classifier::Classifier(const StageContext& with, Pooling pooling)
    : with_(with), norm_(with), pooling_(pooling), positions_(with.config.max_position) {}

// Whoever made the rows has checked them; an index beyond a table must not get as far as the kernels.
void Classifier::check(const data::Rows& rows) const {
  AFTUNE_CHECK(rows.size() == rows.rows() * positions_ && std::ssize(rows.labels) == rows.size());
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    const std::int32_t label = rows.labels[static_cast<std::size_t>(i)];
    AFTUNE_CHECK(i % positions_ == 0 ? label >= 0 && label < with_.config.vocab : label == data::kNoLabel);
  }
}

Classifier::Pooled Classifier::pool(const HeadTensors& p, const std::vector<std::int32_t>& labels,
                                    const Matrix& x) const {
  const std::int64_t images = x.rows / positions_, hidden = x.cols;
  const std::string_view name = p.own[kWeight].spec.name;
  std::vector<std::int64_t> first;
  Pooled pooled;
  for (std::int64_t i = 0; i < images; ++i) {
    first.push_back(i * positions_);
    pooled.labels.push_back(labels[static_cast<std::size_t>(i * positions_)]);
  }
  if (pooling_ == Pooling::kClassToken) {
    // A norm is each position's own: those that nobody looks at are not normalised.
    pooled.picked = Matrix(images, hidden);
    observed(with_.ops, {OpKind::kGather, name, x.rows}, {bytes_of(labels), x.bytes()},
             {pooled.picked.bytes(), bytes_of(pooled.labels)}, [&] {
               kernels::gather_rows(with_.pool, images, hidden, first.data(), x.data(), pooled.picked.data());
             });
    pooled.x = norm_.forward(p.own, pooled.picked, pooled.factors);
    return pooled;
  }
  const Matrix normed = norm_.forward(p.own, x, pooled.factors);
  pooled.x = Matrix(images, 2 * hidden);
  observed(with_.ops, {OpKind::kClassMean, name, x.rows}, {bytes_of(labels), normed.bytes()},
           {pooled.x.bytes(), bytes_of(pooled.labels)}, [&] {
             kernels::class_mean(with_.pool, images, positions_, hidden, normed.data(), pooled.x.data());
           });
  return pooled;
}

// The gradient of x, which pool() took.
Matrix Classifier::pool_backward(const HeadTensors& p, const data::Rows& rows, const Matrix& x,
                                 const Pooled& pooled, const Matrix& d_pooled) const {
  const std::int64_t images = rows.rows(), hidden = with_.config.hidden;
  const std::string_view name = p.own[kWeight].spec.name;
  Matrix dx(rows.size(), hidden);
  if (pooling_ == Pooling::kClassToken) {
    Matrix d_class(images, hidden);
    norm_.backward(p.own, p.frozen, single_rows(images), pooled.picked, pooled.factors, d_pooled, d_class,
                   Into::kStore);
    std::vector<std::int64_t> first;
    for (std::int64_t i = 0; i < images; ++i) first.push_back(i * positions_);
    dx.values.clear(with_.pool);
    observed(
        with_.ops, {OpKind::kScatter, name, dx.rows}, {bytes_of(rows.labels), d_class.bytes()}, {dx.bytes()},
        [&] { kernels::scatter_rows(with_.pool, images, hidden, first.data(), d_class.data(), dx.data()); });
    return dx;
  }
  Matrix d_normed(rows.size(), hidden);
  observed(with_.ops, {OpKind::kClassMeanGrad, name, dx.rows}, {d_pooled.bytes()}, {d_normed.bytes()}, [&] {
    kernels::class_mean_grad(with_.pool, images, positions_, hidden, d_pooled.data(), d_normed.data());
  });
  norm_.backward(p.own, p.frozen, rows, x, pooled.factors, d_normed, dx, Into::kStore);
  return dx;
}

Matrix Classifier::map(const HeadTensors& p, const Matrix& x) const {
  const Parameter& weight = p.own[kWeight];
  Matrix y(x.rows, with_.config.vocab);
  observed(
      with_.ops, {OpKind::kLinear, weight.spec.name, x.rows}, {x.bytes(), weight.value.bytes()}, {y.bytes()},
      [&] { kernels::linear(with_.pool, x.rows, x.cols, y.cols, x.data(), weight.value.data(), y.data()); });
  add_bias(with_, p.own[kBias], y);
  return y;
}

Matrix Classifier::map_backward(const HeadTensors& p, const Matrix& x, const Matrix& d_logits) const {
  Parameter &weight = p.own[kWeight], &bias = p.own[kBias];
  const data::Rows rows = single_rows(x.rows);
  if (!p.frozen) {
    observed(with_.ops, {OpKind::kLinearGradWeight, weight.spec.name, x.rows},
             {d_logits.bytes(), x.bytes(), weight.gradient.bytes()}, {weight.gradient.bytes()}, [&] {
               kernels::linear_grad_weight(with_.pool, x.rows, rows.row_starts.data(), x.cols, d_logits.cols,
                                           d_logits.data(), x.data(), weight.gradient.data());
             });
    bias_backward(with_, bias, rows, d_logits);
  }
  Matrix dx(x.rows, x.cols);
  observed(with_.ops, {OpKind::kLinearGradInput, weight.spec.name, x.rows},
           {d_logits.bytes(), weight.value.bytes()}, {dx.bytes()}, [&] {
             kernels::linear_grad_input(with_.pool, x.rows, x.cols, d_logits.cols, d_logits.data(),
                                        weight.value.data(), dx.data(), Into::kStore);
           });
  return dx;
}

// Of each image; the logits become their gradients if it is to learn.
std::vector<double> Classifier::losses(const Parameter& weight, const Pooled& pooled, Matrix& logits,
                                       float inv_predicted, bool learn) const {
  const std::string_view name = weight.spec.name;
  Buffer loss(logits.rows);
  observed(with_.ops, {OpKind::kCrossEntropy, name, logits.rows}, {bytes_of(pooled.labels), logits.bytes()},
           {loss.bytes(), logits.bytes()}, [&] {
             kernels::cross_entropy(with_.pool, logits.rows, logits.cols, logits.data(), pooled.labels.data(),
                                    inv_predicted, learn, loss.data());
           });
  with_.pool.wait_for_accelerator();
  std::vector<double> sums;
  for (std::int64_t i = 0; i < logits.rows; ++i) {
    double& sum = sums.emplace_back();
    observed(with_.ops, {OpKind::kRowLoss, name, logits.rows}, {loss.bytes()},
             {std::as_bytes(std::span(&sum, 1))}, [&] { sum = kernels::rowsum(1, loss.data() + i); });
  }
  return sums;
}

Matrix Classifier::logits(const HeadTensors& p, const Matrix& x) {
  AFTUNE_CHECK(x.rows % positions_ == 0);
  const std::vector<std::int32_t> labels(static_cast<std::size_t>(x.rows), 0);
  return map(p, pool(p, labels, x).x);
}

HeadResult Classifier::run(const HeadTensors& p, const data::Rows& rows, const Matrix& x, float inv_predicted,
                           bool learn) {
  check(rows);
  const Pooled pooled = pool(p, rows.labels, x);
  Matrix logits = map(p, pooled.x);
  HeadResult result;
  result.row_losses = losses(p.own[kWeight], pooled, logits, inv_predicted, learn);
  // What the last layer left at other positions reaches no loss, and is committed to all the same.
  if (pooling_ == Pooling::kClassToken && kernels::any_nonfinite(with_.pool, x.values.size(), x.data()))
    result.row_losses.front() = std::numeric_limits<double>::quiet_NaN();
  if (!learn) return result;
  result.d_input = pool_backward(p, rows, x, pooled, map_backward(p, pooled.x, logits));
  return result;
}

}  // namespace aftune::model
