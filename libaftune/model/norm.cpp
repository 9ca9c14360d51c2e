#include "model/norm.h"

#include "base/error.h"
#include "model/projections.h"

namespace aftune::model {
namespace {

using kernels::Into;

std::int64_t width_of(const Parameter& weight) {
  return weight.spec.shape[0];
}

// Where the batch's rows start, counted in rows of the norm.
std::vector<std::int64_t> norm_rows(const data::Rows& rows, std::int64_t heads) {
  std::vector<std::int64_t> starts = rows.row_starts;
  for (std::int64_t& start : starts) start *= heads;
  return starts;
}

}  // namespace

Matrix RmsNorm::forward(const Parameter* p, const Matrix& x, NormFactors& keep) const {
  const std::int64_t width = width_of(*p), n = x.values.size() / width;
  Matrix y(x.rows, x.cols);
  keep.inv = Buffer(n);
  observed(with_.ops, {OpKind::kRmsNorm, p->spec.name, x.rows}, {x.bytes(), p->value.bytes()},
           {y.bytes(), keep.inv.bytes()}, [&] {
             kernels::rmsnorm(with_.pool, n, width, with_.config.norm_eps, x.data(), p->value.data(),
                              y.data(), keep.inv.data());
           });
  return y;
}

void RmsNorm::backward(Parameter* p, bool frozen, const data::Rows& rows, const Matrix& x,
                       const NormFactors& kept, const Matrix& dy, Matrix& dx, Into into) const {
  const std::int64_t width = width_of(*p), n = x.values.size() / width;
  const std::vector<std::int64_t> starts = norm_rows(rows, x.cols / width);
  if (!frozen)
    observed(with_.ops, {OpKind::kRmsNormGradWeight, p->spec.name, x.rows},
             {x.bytes(), kept.inv.bytes(), dy.bytes(), p->gradient.bytes()}, {p->gradient.bytes()}, [&] {
               kernels::rmsnorm_grad_weight(with_.pool, rows.rows(), starts.data(), width, x.data(),
                                            kept.inv.data(), dy.data(), p->gradient.data());
             });
  observed_into(with_.ops, {OpKind::kRmsNormGradInput, p->spec.name, x.rows}, into == Into::kAdd,
                {x.bytes(), p->value.bytes(), kept.inv.bytes(), dy.bytes()}, dx.bytes(), [&] {
                  kernels::rmsnorm_grad_input(with_.pool, n, width, x.data(), p->value.data(),
                                              kept.inv.data(), dy.data(), dx.data(), into);
                });
}

Matrix LayerNorm::forward(const Parameter* p, const Matrix& x, NormFactors& keep) const {
  AFTUNE_CHECK(x.cols == width_of(*p));
  Matrix y(x.rows, x.cols);
  keep.mean = Buffer(x.rows);
  keep.inv = Buffer(x.rows);
  observed(with_.ops, {OpKind::kLayerNorm, p->spec.name, x.rows},
           {x.bytes(), p[0].value.bytes(), p[1].value.bytes()},
           {y.bytes(), keep.mean.bytes(), keep.inv.bytes()}, [&] {
             kernels::layernorm(with_.pool, x.rows, x.cols, with_.config.norm_eps, x.data(),
                                p[0].value.data(), p[1].value.data(), y.data(), keep.mean.data(),
                                keep.inv.data());
           });
  return y;
}

void LayerNorm::backward(Parameter* p, bool frozen, const data::Rows& rows, const Matrix& x,
                         const NormFactors& kept, const Matrix& dy, Matrix& dx, Into into) const {
  if (!frozen) {
    observed(with_.ops, {OpKind::kLayerNormGradWeight, p->spec.name, x.rows},
             {x.bytes(), kept.mean.bytes(), kept.inv.bytes(), dy.bytes(), p->gradient.bytes()},
             {p->gradient.bytes()}, [&] {
               kernels::layernorm_grad_weight(with_.pool, rows.rows(), rows.row_starts.data(), x.cols,
                                              x.data(), kept.mean.data(), kept.inv.data(), dy.data(),
                                              p->gradient.data());
             });
    bias_backward(with_, p[1], rows, dy);
  }
  observed_into(
      with_.ops, {OpKind::kLayerNormGradInput, p->spec.name, x.rows}, into == Into::kAdd,
      {x.bytes(), p->value.bytes(), kept.mean.bytes(), kept.inv.bytes(), dy.bytes()}, dx.bytes(), [&] {
        kernels::layernorm_grad_input(with_.pool, x.rows, x.cols, x.data(), p->value.data(), kept.mean.data(),
                                      kept.inv.data(), dy.data(), dx.data(), into);
      });
}

}  // namespace aftune::model
