#pragma once

#include "data/rows.h"
#include "kernels/ops.h"
#include "model/layer.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// What a norm keeps of each row that it normalised.
struct NormFactors {
  Buffer mean;  ///< LayerNorm only
  Buffer inv;
};

/// A norm of rows. `p` is its first tensor, its others follow.
class Norm {
 public:
  virtual ~Norm() = default;
  virtual int tensors() const = 0;
  virtual Matrix forward(const Parameter* p, const Matrix& x, NormFactors& keep) const = 0;
  /// Adds the gradients of its tensors, unless they are frozen, and stores or adds that of x in dx.
  /// A row's chain runs over its tokens, in each over its heads.
  virtual void backward(Parameter* p, bool frozen, const data::Rows& rows, const Matrix& x,
                        const NormFactors& kept, const Matrix& dy, Matrix& dx, kernels::Into into) const = 0;
};

/// Zhang and Sennrich 2019: weight. Rows are as wide as it: x [n, heads * width] are n * heads of them.
class RmsNorm : public Norm {
 public:
  explicit RmsNorm(const StageContext& with) : with_(with) {}
  int tensors() const override { return 1; }
  Matrix forward(const Parameter* p, const Matrix& x, NormFactors& keep) const override;
  void backward(Parameter* p, bool frozen, const data::Rows& rows, const Matrix& x, const NormFactors& kept,
                const Matrix& dy, Matrix& dx, kernels::Into into) const override;

 private:
  const StageContext with_;
};

/// Ba, Kiros and Hinton 2016: weight and bias.
class LayerNorm : public Norm {
 public:
  explicit LayerNorm(const StageContext& with) : with_(with) {}
  int tensors() const override { return 2; }
  Matrix forward(const Parameter* p, const Matrix& x, NormFactors& keep) const override;
  void backward(Parameter* p, bool frozen, const data::Rows& rows, const Matrix& x, const NormFactors& kept,
                const Matrix& dy, Matrix& dx, kernels::Into into) const override;

 private:
  const StageContext with_;
};

}  // namespace aftune::model
