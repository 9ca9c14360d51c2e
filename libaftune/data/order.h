#pragma once

#include <cstdint>
#include <vector>

namespace aftune::data {

/// The most rows a data set may have: draws are 32 bits wide.
inline constexpr std::int64_t kMaxRows = std::int64_t{1} << 32;

/// The number in [0, i] that step i of an epoch's shuffle swaps with; uniform (docs/trace.order.md).
std::uint32_t order_draw(std::uint64_t seed, std::uint64_t epoch, std::uint32_t i);

/// The permutation of rows 0 ... rows - 1 in one epoch. Requires 0 < rows <= kMaxRows.
std::vector<std::int64_t> epoch_permutation(std::uint64_t seed, std::uint64_t epoch, std::int64_t rows);

}  // namespace aftune::data
