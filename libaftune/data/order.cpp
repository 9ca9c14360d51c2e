#include "data/order.h"

#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/philox.h"
#include "data/dataset.h"

namespace aftune::data {

std::uint32_t order_draw(std::uint64_t seed, std::uint64_t epoch, std::uint32_t i) {
  const std::uint64_t bound = std::uint64_t{i} + 1;
  // Words at or past the largest multiple of bound would favour small numbers.
  const std::uint64_t accepted = (std::uint64_t{1} << 32) / bound * bound;
  const auto epoch_low = static_cast<std::uint32_t>(epoch);
  const auto epoch_high = static_cast<std::uint32_t>(epoch >> 32);
  for (std::uint32_t attempt = 0; attempt < 0x10000; ++attempt) {
    const std::uint32_t purpose = static_cast<std::uint32_t>(Purpose::kOrder) << 16 | attempt;
    for (const std::uint32_t word : philox({i, epoch_low, epoch_high, purpose}, seed))
      if (word < accepted) return static_cast<std::uint32_t>(word % bound);
  }
  // At least half of all words are accepted: 2^18 rejections in a row do not happen.
  AFTUNE_CHECK(false);
  return 0;
}

std::vector<std::int64_t> epoch_permutation(std::uint64_t seed, std::uint64_t epoch, std::int64_t rows) {
  AFTUNE_CHECK(rows > 0 && rows <= kMaxRows);
  std::vector<std::int64_t> permutation(static_cast<std::size_t>(rows));
  std::iota(permutation.begin(), permutation.end(), 0);
  for (std::size_t i = permutation.size() - 1; i > 0; --i)
    std::swap(permutation[i], permutation[order_draw(seed, epoch, static_cast<std::uint32_t>(i))]);
  return permutation;
}

Order::Order(std::uint64_t seed, std::int64_t rows) : seed_(seed), rows_(rows) {
  AFTUNE_CHECK(rows > 0 && rows <= kMaxRows);
}

std::int64_t Order::row_at(std::int64_t position) const {
  AFTUNE_CHECK(position >= 0);
  return epoch(position / rows_)[static_cast<std::size_t>(position % rows_)];
}

const std::vector<std::int64_t>& Order::epoch(std::int64_t e) const {
  if (e != cached_epoch_) {
    permutation_ = epoch_permutation(seed_, static_cast<std::uint64_t>(e), rows_);
    cached_epoch_ = e;
  }
  return permutation_;
}

}  // namespace aftune::data
