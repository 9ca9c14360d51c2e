#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "audit/log_view.h"
#include "audit/op_list.h"
#include "base/parallel.h"
#include "record/leaves.h"
#include "tensor/tensor.h"

namespace aftune::audit {

/// Everything an operation depends on besides its inputs. The log's manifest and config have been parsed.
struct OpContext {
  const LogView& log;
  const record::Step& step;  ///< the one that the entry names
  ThreadPool& pool;
  std::uint64_t max_memory = 0;  ///< bytes of inputs and outputs; 0: no bound
};

/// A tensor that goes in or comes out. Whatever its type, its bytes are what `values` holds.
struct OpTensor {
  TensorSpec spec;
  Buffer values;
};

/// Reads input i of an operation. The first dimension of a one-dimensional `spec` may be -1, for any length
/// up to `most`.
using OpInput = std::function<OpTensor(std::size_t i, const TensorSpec& spec, std::int64_t most)>;

/// Runs one operation alone, from its inputs, by the kernels that the blocks run: digests of what comes out.
/// Types and shapes follow from the config and the entry; nothing is read or allocated before they are known
/// to fit the bound. Throws Error{kEvidence} if the entry is none that an honest run has, if its inputs are
/// not those it names, if a number is not finite, or if the bound is too small: then it shows nothing.
std::vector<Digest> run_single_op(const OpContext& context, const OpEntry& entry, const OpInput& input);

}  // namespace aftune::audit
