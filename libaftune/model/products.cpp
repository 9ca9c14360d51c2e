#include "model/products.h"

#include <vector>

#include "base/error.h"

namespace aftune::model {

using kernels::I14Factor;
using kernels::Into;
using kernels::Side;

Products::Input::Input(Products& products, const Matrix& matrix) : matrix_(matrix), products_(products) {
  AFTUNE_CHECK(!products_.reading_);
  products_.reading_ = true;
}

Products::Input::~Input() {
  products_.reading_ = false;
}

void Products::weights_changed() {
  for (auto& [name, factors] : weights_) factors.forward_ready = factors.backward_ready = false;
}

const I14Factor& Products::input_rows(Input& x) {
  const Matrix& m = x.matrix_;
  if (!x.rows_ready_) input_rows_.quantise_rows(pool_, Side::kLeft, m.rows, m.cols, m.data(), profile_.group);
  x.rows_ready_ = true;
  return input_rows_;
}

const I14Factor& Products::input_columns(Input& x, const std::vector<std::int64_t>& row_starts, Side side) {
  const Matrix& m = x.matrix_;
  if (!x.columns_ready_)
    input_columns_.quantise_columns(pool_, side, m.cols, std::ssize(row_starts) - 1, row_starts.data(),
                                    m.data(), profile_.group);
  x.columns_ready_ = true;
  return input_columns_;
}

Products::WeightFactors& Products::factors_of(const Weight& w) {
  const auto found = weights_.find(w.name);
  return found != weights_.end() ? found->second : weights_[std::string(w.name)];
}

// The weight in f32, made in `scratch` where it has to be. Factors that are ready need none of it.
Weight Products::wide(const Weight& w, bool ready, Buffer& scratch) {
  if (w.narrow == nullptr || w.narrow->empty() || (profile_.is_i14() && ready)) return w;
  scratch = widen(pool_, *w.narrow);
  return {w.name, scratch, w.out, w.in, w.transposed};
}

// Groups of a weight run over the index that is contracted: `in` forward, `out` backward.
const I14Factor& Products::forward_factor(const Weight& w) {
  WeightFactors& factors = factors_of(w);
  if (!factors.forward_ready && w.transposed)
    factors.forward.quantise_columns(pool_, Side::kRight, w.out, w.in, w.values.data(), profile_.group);
  else if (!factors.forward_ready)
    factors.forward.quantise_rows(pool_, Side::kRight, w.out, w.in, w.values.data(), profile_.group);
  factors.forward_ready = true;
  return factors.forward;
}

const I14Factor& Products::backward_factor(const Weight& w) {
  WeightFactors& factors = factors_of(w);
  if (!factors.backward_ready && w.transposed)
    factors.backward.quantise_rows(pool_, Side::kRight, w.in, w.out, w.values.data(), profile_.group);
  else if (!factors.backward_ready)
    factors.backward.quantise_columns(pool_, Side::kRight, w.in, w.out, w.values.data(), profile_.group);
  factors.backward_ready = true;
  return factors.backward;
}

void Products::multiply(std::int64_t n, std::int64_t in, std::int64_t out, const float* x, const float* w,
                        float* y, Into into) {
  if (perturbation_ != nullptr)
    return kernels::linear_perturbed(pool_, *perturbation_, n, in, out, x, w, y, into);
  kernels::linear(pool_, profile_, n, in, out, x, w, y, into);
}

void Products::multiply_grad_input(std::int64_t n, std::int64_t in, std::int64_t out, const float* dy,
                                   const float* w, float* dx, Into into) {
  if (perturbation_ != nullptr)
    return kernels::linear_grad_input_perturbed(pool_, *perturbation_, n, in, out, dy, w, dx, into);
  kernels::linear_grad_input(pool_, profile_, n, in, out, dy, w, dx, into);
}

void Products::multiply_grad_weight(const std::vector<std::int64_t>& row_starts, std::int64_t in,
                                    std::int64_t out, const float* dy, const float* x, float* dw) {
  const std::int64_t rows = std::ssize(row_starts) - 1;
  if (perturbation_ != nullptr)
    return kernels::linear_grad_weight_perturbed(pool_, *perturbation_, rows, row_starts.data(), in, out, dy,
                                                 x, dw);
  kernels::linear_grad_weight(pool_, profile_, rows, row_starts.data(), in, out, dy, x, dw);
}

Matrix Products::linear(const Weight& weight, Input& x) {
  Buffer scratch;
  const Weight w = wide(weight, factors_of(weight).forward_ready, scratch);
  const Matrix& from = x.matrix_;
  Matrix y(from.rows, w.out);
  observed(ops_, {OpKind::kLinear, w.name, from.rows}, {from.bytes(), w.values.bytes()}, {y.bytes()}, [&] {
    if (profile_.is_i14())
      kernels::multiply_i14(pool_, input_rows(x), forward_factor(w), y.data(), Into::kStore);
    else if (w.transposed)
      multiply_grad_input(from.rows, w.out, w.in, from.data(), w.values.data(), y.data(), Into::kStore);
    else
      multiply(from.rows, w.in, w.out, from.data(), w.values.data(), y.data(), Into::kStore);
  });
  return y;
}

void Products::grad_weight(const Weight& w, const std::vector<std::int64_t>& row_starts, const Matrix& dy,
                           Input& x, Buffer& dw) {
  const Matrix& from = x.matrix_;
  observed(ops_, {OpKind::kLinearGradWeight, w.name, from.rows}, {dy.bytes(), from.bytes(), dw.bytes()},
           {dw.bytes()}, [&] {
             if (profile_.is_i14()) return grad_weight_i14(w, row_starts, dy, x, dw);
             if (w.transposed)
               multiply_grad_weight(row_starts, w.out, w.in, from.data(), dy.data(), dw.data());
             else
               multiply_grad_weight(row_starts, w.in, w.out, dy.data(), from.data(), dw.data());
           });
}

void Products::grad_weight_i14(const Weight& w, const std::vector<std::int64_t>& row_starts, const Matrix& dy,
                               Input& x, Buffer& dw) {
  gradient_columns_.quantise_columns(pool_, w.transposed ? Side::kRight : Side::kLeft, w.out,
                                     std::ssize(row_starts) - 1, row_starts.data(), dy.data(),
                                     profile_.group);
  const I14Factor& input = input_columns(x, row_starts, w.transposed ? Side::kLeft : Side::kRight);
  if (w.transposed)
    kernels::multiply_i14(pool_, input, gradient_columns_, dw.data(), Into::kAdd);
  else
    kernels::multiply_i14(pool_, gradient_columns_, input, dw.data(), Into::kAdd);
}

void Products::grad_input(const Weight& weight, const Matrix& dy, Matrix& dx, Into into) {
  Buffer scratch;
  const Weight w = wide(weight, factors_of(weight).backward_ready, scratch);
  const auto run = [&] {
    if (!profile_.is_i14() && w.transposed)
      return multiply(dy.rows, w.out, w.in, dy.data(), w.values.data(), dx.data(), into);
    if (!profile_.is_i14())
      return multiply_grad_input(dy.rows, w.in, w.out, dy.data(), w.values.data(), dx.data(), into);
    gradient_rows_.quantise_rows(pool_, Side::kLeft, dy.rows, w.out, dy.data(), profile_.group);
    kernels::multiply_i14(pool_, gradient_rows_, backward_factor(w), dx.data(), into);
  };
  observed_into(ops_, {OpKind::kLinearGradInput, w.name, dy.rows}, into == Into::kAdd,
                {dy.bytes(), w.values.bytes()}, dx.bytes(), run);
}

}  // namespace aftune::model
