#include "kernels/cuda/embedding_order.h"

#include <algorithm>
#include <numeric>

namespace aftune::kernels::cuda {
namespace {

std::vector<std::int64_t> row_of_positions(std::int64_t rows, const std::int64_t* row_starts) {
  std::vector<std::int64_t> row_of(static_cast<std::size_t>(row_starts[rows]));
  for (std::int64_t r = 0; r < rows; ++r)
    std::fill(row_of.begin() + row_starts[r], row_of.begin() + row_starts[r + 1], r);
  return row_of;
}

}  // namespace

EmbeddingOrder embedding_order(std::int64_t rows, const std::int64_t* row_starts, const std::int32_t* ids) {
  const std::vector<std::int64_t> row_of = row_of_positions(rows, row_starts);
  EmbeddingOrder lists;
  lists.order.resize(row_of.size());
  std::iota(lists.order.begin(), lists.order.end(), 0);
  // Rows are in the order of their positions: with equal ids, ascending positions are rows in order.
  std::stable_sort(lists.order.begin(), lists.order.end(),
                   [ids](std::int64_t a, std::int64_t b) { return ids[a] < ids[b]; });
  for (std::size_t i = 0; i < lists.order.size(); ++i) {
    const std::int64_t at = lists.order[i];
    const bool new_entry = i == 0 || ids[at] != ids[lists.order[i - 1]];
    if (new_entry) {
      lists.entry_starts.push_back(static_cast<std::int64_t>(lists.group_starts.size()));
      lists.entry_ids.push_back(ids[at]);
    }
    const auto row = [&](std::size_t of) { return row_of[static_cast<std::size_t>(lists.order[of])]; };
    if (new_entry || row(i) != row(i - 1)) lists.group_starts.push_back(static_cast<std::int64_t>(i));
  }
  lists.entry_starts.push_back(static_cast<std::int64_t>(lists.group_starts.size()));
  lists.group_starts.push_back(static_cast<std::int64_t>(lists.order.size()));
  return lists;
}

}  // namespace aftune::kernels::cuda
