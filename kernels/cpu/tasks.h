#pragma once

// How products are cut into tasks for the threads.

#include <algorithm>
#include <cstdint>

#include "base/parallel.h"

namespace aftune::kernels {

/// Below this many multiplications, waking threads costs more than they save.
inline constexpr std::int64_t kSmallProduct = std::int64_t{1} << 17;

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// Runs task(i) for i in [0, count), on this thread alone if there is little to do.
inline void run_tasks(ThreadPool& pool, bool small, std::int64_t count, TaskRef task) {
  if (!small) return pool.run(count, task);
  for (std::int64_t i = 0; i < count; ++i) task(i);
}

/// Rows of a task of a product with `columns` columns of tasks: all of `tiles`, unless there would then be
/// too few tasks to keep the threads equally busy. Never so few that preparing a task costs more than a
/// twentieth of it.
inline std::int64_t rows_per_task(int threads, std::int64_t columns, std::int64_t tiles, int tile_rows) {
  constexpr std::int64_t kTasksPerThread = 4, kMinTilesPerTask = 12;
  if (threads == 1) return tiles * tile_rows;
  const std::int64_t parts = std::max<std::int64_t>(
      1, std::min(ceil_div(kTasksPerThread * threads, columns), tiles / kMinTilesPerTask));
  return ceil_div(tiles, parts) * tile_rows;
}

}  // namespace aftune::kernels
