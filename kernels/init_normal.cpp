// Initial values: the random words of a tensor, turned into normal values by the active instruction set.

#include <algorithm>
#include <array>

#include "base/philox.h"
#include "kernels/chunks.h"
#include "kernels/cpu/rows.h"
#include "kernels/device.h"
#include "kernels/ops.h"

namespace aftune::kernels {
namespace {

constexpr std::int64_t kWordsAtOnce = 512;

/// The Philox words of blocks first, first + 1, ...: word j of block b belongs to element 4 b + j.
void random_words(std::uint64_t seed, std::uint64_t name_hash, std::int64_t first,
                  std::array<std::uint32_t, kWordsAtOnce>& words) {
  const auto purpose = static_cast<std::uint32_t>(Purpose::kInit) << 16;
  for (std::size_t i = 0; i < words.size(); i += 4) {
    const std::uint64_t block = static_cast<std::uint64_t>(first) + i / 4;
    const PhiloxBlock random =
        philox({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                static_cast<std::uint32_t>(name_hash),
                purpose | static_cast<std::uint32_t>(name_hash >> 32 & 0xffff)},
               seed);
    std::copy(random.begin(), random.end(), words.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

}  // namespace

void init_normal(ThreadPool& pool, std::uint64_t seed, std::uint64_t name_hash, float std, std::int64_t n,
                 float* x) {
  if (Device* const device = device_of(pool)) return device->init_normal(seed, name_hash, std, n, x);
  const RowTable& table = row_table(active_isa());
  for_chunks(pool, n, kWordsAtOnce * 32, [&](std::int64_t first, std::int64_t last) {
    std::array<std::uint32_t, kWordsAtOnce> words;
    std::array<float, kWordsAtOnce> values;
    for (std::int64_t at = first; at < last; at += kWordsAtOnce) {
      random_words(seed, name_hash, at / 4, words);
      table.init_normal(static_cast<double>(std), kWordsAtOnce / 2, words.data(), values.data());
      std::copy_n(values.data(), std::min(kWordsAtOnce, last - at), x + at);
    }
  });
}

}  // namespace aftune::kernels
