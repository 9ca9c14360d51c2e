#pragma once

#include <vector>

#include "data/rows.h"
#include "model/layer.h"
#include "tensor/tensor.h"

namespace aftune::model {

/// The first stage of one architecture: what a row is before the layers. `p` are the tensors of unit 0.
class Embedding {
 public:
  virtual ~Embedding() = default;
  /// Returns [n, hidden].
  virtual Matrix forward(const Parameter* p, const data::Rows& rows) = 0;
  /// Adds the gradients of all its tensors; dy is [n, hidden]. Not called where they are frozen.
  virtual void backward(Parameter* p, const data::Rows& rows, const Matrix& dy) = 0;
};

/// Rows of tables, by tokens or by positions. Whoever made the ids has checked them; one beyond the table
/// does not get as far as the kernels.
class Lookup {
 public:
  explicit Lookup(const StageContext& with) : with_(with) {}
  Matrix forward(const Parameter& table, const std::vector<std::int32_t>& ids) const;
  void backward(Parameter& table, const data::Rows& rows, const std::vector<std::int32_t>& ids,
                const Matrix& dy) const;

 private:
  const StageContext with_;
};

/// x = table[token].
class TokenEmbedding : public Embedding {
 public:
  explicit TokenEmbedding(const StageContext& with) : lookup_(with) {}
  Matrix forward(const Parameter* p, const data::Rows& rows) override;
  void backward(Parameter* p, const data::Rows& rows, const Matrix& dy) override;

 private:
  const Lookup lookup_;
};

}  // namespace aftune::model
