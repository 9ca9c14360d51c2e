#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "audit/op_list.h"
#include "audit/op_tensors.h"
#include "audit/single_op.h"
#include "kernels/ops.h"
#include "model/config.h"
#include "tensor/tensor.h"

namespace aftune::audit {

/// What an operation takes, what it gives, and how. Where a list of integers comes first, the shapes of what
/// follows may depend on it.
struct Form {
  std::vector<TensorSpec> in, out;
  std::function<void(const Tensors& in, Tensors& out)> run;
};

/// Finds the form of an entry, from manifest and config. Everything throws Error{kEvidence} for what no
/// honest run has. What a form runs refers to this object.
class OpForms {
 public:
  /// `list` is the first input, where that is a list and has been read.
  OpForms(const OpContext& context, const OpEntry& entry,
          const std::optional<std::vector<std::int32_t>>& list)
      : log_(context.log),
        step_(context.step),
        pool_(context.pool),
        config_(context.log.config()),
        entry_(entry),
        list_(list),
        n_(entry.tokens) {}

  Form form() const;

 private:
  void check_tokens() const;
  const Shape& parameter(std::size_t rank) const;
  bool of_adapter() const;
  std::vector<std::int32_t> list_within(std::int32_t least, std::int64_t end) const;
  kernels::OpUses uses() const;
  static kernels::Into into(bool adds);
  Form add() const;
  Form predicted_rows() const;
  Form loss() const;
  Form sum_squares() const;
  Form update() const;
  Form rows_of_boundary() const;
  // Of a layer and of the embedding (op_forms_layer.cpp).
  Form embedding() const;
  Form rmsnorm() const;
  Form layernorm() const;
  Form linear() const;
  bool is_transposed() const;
  std::vector<std::int64_t> documents(const std::vector<std::int32_t>& positions) const;
  Form rope() const;
  Form attention() const;
  Form bias() const;
  Form scaled() const;
  Form dropout() const;
  Form swiglu() const;
  Form gelu() const;
  Form split() const;
  Shape matrix() const;
  bool is_exact() const;
  // Of images (op_forms_image.cpp).
  void require_image() const;
  Form layer_scale() const;
  Form patches() const;
  Form class_token() const;
  Form class_mean() const;

  const LogView& log_;
  const record::Step& step_;
  ThreadPool& pool_;
  const model::Config& config_;
  const OpEntry& entry_;
  const std::optional<std::vector<std::int32_t>>& list_;
  const std::int64_t n_;
};

}  // namespace aftune::audit
