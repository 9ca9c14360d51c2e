#include "audit/single_op.h"

#include <cmath>
#include <optional>
#include <utility>

#include "audit/op_forms.h"
#include "audit/op_tensors.h"
#include "base/error.h"
#include "hash/blake3.h"
#include "kernels/ops.h"

namespace aftune::audit {
namespace {

bool is_finite(const OpTensor& tensor, ThreadPool& pool) {
  if (tensor.spec.dtype == DType::kU8) return std::isfinite(real(tensor));
  return tensor.spec.dtype != DType::kF32 ||
         !kernels::any_nonfinite(pool, tensor.values.size(), floats(tensor));
}

// Adds up what tensors take, before any is made.
class Budget {
 public:
  explicit Budget(std::uint64_t most) : most_(most) {}
  void take(const TensorSpec& spec) {
    taken_ += byte_size(spec);
    require(most_ == 0 || taken_ <= most_, "the operation takes more than ", most_, " bytes");
  }

 private:
  std::uint64_t most_, taken_ = 0;
};

}  // namespace

std::vector<Digest> run_single_op(const OpContext& context, const OpEntry& entry, const OpInput& input) {
  std::optional<std::vector<std::int32_t>> list;
  std::optional<OpForms> forms(std::in_place, context, entry, list);  // what is run refers to it
  Form form = forms->form();
  Tensors in, out;
  Budget budget(context.max_memory);
  const auto read = [&](std::size_t i) {
    const bool any_length = form.in[i].shape == Shape{-1};
    const std::int64_t most = 2 * entry.tokens;  // a document takes one token, a row one number more
    budget.take(any_length ? i32(most) : form.in[i]);
    in.push_back(input(i, form.in[i], most));
    require(hash::blake3(in.back().values.bytes(), &context.pool) == entry.in.at(i), "input ", i,
            " is not the one that the list names");
    require(is_finite(in.back(), context.pool), "input ", i, " holds a number that is not finite");
  };
  require(!form.in.empty() && !entry.in.empty(), "an operation without inputs");
  read(0);
  if (form.in[0].dtype == DType::kI32) {
    list = ints(in[0]);
    form = forms.emplace(context, entry, list).form();
  }
  require(form.in.size() == entry.in.size() && form.out.size() == entry.out.size(),
          "an operation with other inputs or outputs than ours has");
  for (std::size_t i = 1; i < form.in.size(); ++i) read(i);
  for (const TensorSpec& spec : form.out) budget.take(spec);
  for (const TensorSpec& spec : form.out)
    out.push_back({spec, Buffer(static_cast<std::int64_t>(byte_size(spec) / sizeof(float)))});
  form.run(in, out);
  std::vector<Digest> digests;
  for (const OpTensor& tensor : out) {
    require(is_finite(tensor, context.pool), "a result that is not finite");
    digests.push_back(hash::blake3(tensor.values.bytes(), &context.pool));
  }
  return digests;
}

}  // namespace aftune::audit
