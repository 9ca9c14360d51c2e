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

Matrix Products::linear(const Weight& w, Input& x) {
  const Matrix& from = x.matrix_;
  Matrix y(from.rows, w.out);
  observed(ops_, {OpKind::kLinear, w.name, from.rows}, {from.bytes(), w.values.bytes()}, {y.bytes()}, [&] {
    if (profile_.is_i14())
      kernels::multiply_i14(pool_, input_rows(x), forward_factor(w), y.data(), Into::kStore);
    else if (w.transposed)
      kernels::linear_grad_input(pool_, from.rows, w.out, w.in, from.data(), w.values.data(), y.data(),
                                 Into::kStore);
    else
      kernels::linear(pool_, from.rows, w.in, w.out, from.data(), w.values.data(), y.data());
  });
  return y;
}

void Products::grad_weight(const Weight& w, const std::vector<std::int64_t>& row_starts, const Matrix& dy,
                           Input& x, Buffer& dw) {
  const std::int64_t rows = std::ssize(row_starts) - 1;
  const Matrix& from = x.matrix_;
  observed(ops_, {OpKind::kLinearGradWeight, w.name, from.rows}, {dy.bytes(), from.bytes(), dw.bytes()},
           {dw.bytes()}, [&] {
             if (profile_.is_i14()) return grad_weight_i14(w, row_starts, dy, x, dw);
             if (w.transposed)
               return kernels::linear_grad_weight(pool_, rows, row_starts.data(), w.out, w.in, from.data(),
                                                  dy.data(), dw.data());
             kernels::linear_grad_weight(pool_, rows, row_starts.data(), w.in, w.out, dy.data(), from.data(),
                                         dw.data());
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

void Products::grad_input(const Weight& w, const Matrix& dy, Matrix& dx, Into into) {
  const auto run = [&] {
    if (!profile_.is_i14() && w.transposed)
      return kernels::linear(pool_, dy.rows, w.out, w.in, dy.data(), w.values.data(), dx.data(), into);
    if (!profile_.is_i14())
      return kernels::linear_grad_input(pool_, dy.rows, w.in, w.out, dy.data(), w.values.data(), dx.data(),
                                        into);
    gradient_rows_.quantise_rows(pool_, Side::kLeft, dy.rows, w.out, dy.data(), profile_.group);
    kernels::multiply_i14(pool_, gradient_rows_, backward_factor(w), dx.data(), into);
  };
  observed_into(ops_, {OpKind::kLinearGradInput, w.name, dy.rows}, into == Into::kAdd,
                {dy.bytes(), w.values.bytes()}, dx.bytes(), run);
}

}  // namespace aftune::model
