// The gradient of the embedding: a scatter of sums whose order is fixed by sorting.

#include <algorithm>
#include <vector>

#include "kernels/chunks.h"
#include "kernels/cpu/rows.h"
#include "kernels/device.h"
#include "kernels/ops.h"

namespace aftune::kernels {
namespace {

/// The positions of a batch, row by row, in each row by (id, position).
std::vector<std::int64_t> sort_positions(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts,
                                         const std::int32_t* ids) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(row_starts[rows]));
  pool.run(rows, [&](std::int64_t r) {
    for (std::int64_t t = row_starts[r]; t < row_starts[r + 1]; ++t) order[static_cast<std::size_t>(t)] = t;
    std::sort(order.begin() + row_starts[r], order.begin() + row_starts[r + 1],
              [ids](std::int64_t a, std::int64_t b) { return ids[a] != ids[b] ? ids[a] < ids[b] : a < b; });
  });
  return order;
}

}  // namespace

void embedding_grad(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts, std::int64_t h,
                    const std::int32_t* ids, const float* dy, float* dtable) {
  if (Device* const device = device_of(pool))
    return device->embedding_grad(rows, row_starts, h, ids, dy, dtable);
  constexpr std::int64_t kColumnGrain = 256;
  const RowTable& table = row_table(active_isa());
  const std::vector<std::int64_t> order = sort_positions(pool, rows, row_starts, ids);
  for_chunks(pool, h, kColumnGrain, [&](std::int64_t a, std::int64_t b) {
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t first = row_starts[r], last; first < row_starts[r + 1]; first = last) {
        const std::int64_t* const group = order.data() + first;
        const std::int32_t id = ids[*group];
        for (last = first + 1; last < row_starts[r + 1] && ids[order[static_cast<std::size_t>(last)]] == id;)
          ++last;
        table.embedding_grad(b - a, last - first, h, group, dy + a, dtable + id * h + a);
      }
  });
}

}  // namespace aftune::kernels
