#pragma once

#include <map>
#include <vector>

#include "audit/log_view.h"

namespace aftune::audit {

/// Digests of all-zero f32 tensors, each length hashed once and without holding the zeros.
class ZeroDigests {
 public:
  const Digest& of(const Shape& shape);

 private:
  std::map<std::int64_t, Digest> known_;
};

/// The tensors of one block, and where they stand among the tensors of the model.
class BlockLists {
 public:
  BlockLists(const LogView& log, int block);

  const std::vector<TensorSpec>& parameter_specs() const { return parameter_specs_; }
  const std::vector<TensorSpec>& moment_specs() const { return moment_specs_; }
  /// Index in LogView::tensors() of each parameter.
  const std::vector<std::size_t>& positions() const { return positions_; }

  /// list_digest of the parameters, taken as f32 from digests of the whole model.
  Digest parameters(const std::vector<Digest>& of_model) const;
  /// list_digest of moments that are all zero.
  Digest moments(ZeroDigests& zeros) const;

 private:
  std::vector<TensorSpec> parameter_specs_;
  std::vector<TensorSpec> moment_specs_;
  std::vector<std::size_t> positions_;
};

}  // namespace aftune::audit
