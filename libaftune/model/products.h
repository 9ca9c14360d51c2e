#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/rows.h"
#include "kernels/i14.h"
#include "kernels/profile.h"
#include "model/op_observer.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// A matrix [out, in] that products multiply by, or the transposed one. Its name is unique in a block.
struct Weight {
  std::string_view name;
  const Buffer& values;
  std::int64_t out = 0, in = 0;
  bool transposed = false;  ///< stored as [in, out]; the same results as of the other
};

/// The products with a block's matrices under one profile. Under i14 the factors are quantised here, each
/// once for all the products that use it: a weight once in a step, an activation while an Input of it lives.
/// Their memory is kept from step to step. Not thread-safe; uses the pool inside.
class Products {
 public:
  Products(ThreadPool& pool, const kernels::Profile& profile, OpObserver* ops = nullptr)
      : pool_(pool), profile_(profile), ops_(ops) {}
  Products(const Products&) = delete;
  Products& operator=(const Products&) = delete;

  /// A matrix that one product or several read, and that does not change while this lives. One at a time.
  class Input {
   public:
    Input(Products& products, const Matrix& matrix);
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;
    ~Input();
    const Matrix& matrix() const { return matrix_; }

   private:
    friend class Products;
    const Matrix& matrix_;
    Products& products_;
    bool rows_ready_ = false, columns_ready_ = false;
  };

  /// Whoever changes a weight says so before the next product.
  void weights_changed();

  /// y = x w^T: x is [n, in], y becomes [n, out].
  Matrix linear(const Weight& w, Input& x);
  /// dw, stored as w is, += dy^T x, row by row of `row_starts` (rows + 1 offsets).
  void grad_weight(const Weight& w, const std::vector<std::int64_t>& row_starts, const Matrix& dy, Input& x,
                   Buffer& dw);
  /// dx [n, in] = dy w, or the same added to dx.
  void grad_input(const Weight& w, const Matrix& dy, Matrix& dx, kernels::Into into);

 private:
  struct WeightFactors {
    kernels::I14Factor forward, backward;
    bool forward_ready = false, backward_ready = false;
  };

  const kernels::I14Factor& input_rows(Input& x);
  const kernels::I14Factor& input_columns(Input& x, const std::vector<std::int64_t>& row_starts,
                                          kernels::Side side);
  WeightFactors& factors_of(const Weight& w);
  const kernels::I14Factor& forward_factor(const Weight& w);
  const kernels::I14Factor& backward_factor(const Weight& w);
  void grad_weight_i14(const Weight& w, const std::vector<std::int64_t>& row_starts, const Matrix& dy,
                       Input& x, Buffer& dw);

  ThreadPool& pool_;
  kernels::Profile profile_;
  OpObserver* ops_;
  std::map<std::string, WeightFactors, std::less<>> weights_;
  kernels::I14Factor input_rows_, input_columns_, gradient_rows_, gradient_columns_;
  bool reading_ = false;
};

}  // namespace aftune::model
