#pragma once

#include <cstdint>
#include <vector>

namespace aftune::kernels::cuda {

/// The lists that embedding_grad of rows.h takes, in host memory: per table entry its groups, per group the
/// positions of its id in one row.
struct EmbeddingOrder {
  std::vector<std::int64_t> entry_starts;  ///< entries + 1 offsets into the groups
  std::vector<std::int32_t> entry_ids;     ///< ascending
  std::vector<std::int64_t> group_starts;  ///< groups + 1 offsets into order
  std::vector<std::int64_t> order;         ///< all positions

  std::int64_t entries() const { return static_cast<std::int64_t>(entry_ids.size()); }
};

/// Of a batch of `rows` rows with rows + 1 offsets. Ids must be within the table.
EmbeddingOrder embedding_order(std::int64_t rows, const std::int64_t* row_starts, const std::int32_t* ids);

}  // namespace aftune::kernels::cuda
