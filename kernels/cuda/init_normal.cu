// Initial values. The only kernel with binary64 in it: tests/ptx_check.py lets no other have any.

#include "base/philox.h"
#include "kernels/cuda/rows.h"
#include "kernels/cuda/warps.cuh"
#include "kernels/init_normal.h"

namespace aftune::kernels::cuda {
namespace {

constexpr std::int64_t kBlock = 4;  // elements of a Philox block

/// The words of a block of a tensor's elements.
struct InitWords {
  std::uint64_t seed, name_hash;

  AFTUNE_OP void block(std::int64_t number, std::uint32_t (&words)[kBlock]) const {
    const auto counter = static_cast<std::uint64_t>(number);
    const auto purpose = static_cast<std::uint32_t>(Purpose::kInit) << 16;
    const PhiloxBlock random =
        philox({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
                static_cast<std::uint32_t>(name_hash),
                purpose | static_cast<std::uint32_t>(name_hash >> 32 & 0xffff)},
               seed);
    AFTUNE_UNROLL
    for (std::size_t i = 0; i < kBlock; ++i) words[i] = random[i];
  }
};

/// The op's body for a thread by itself.
struct OneThread {
  template <class F>
  AFTUNE_OP void each(std::int64_t n, const F& f) const {
    AFTUNE_UNROLL
    for (std::int64_t i = 0; i < n; ++i) f(i);
  }
};

}  // namespace

void init_normal(Stream stream, std::uint64_t seed, std::uint64_t name_hash, float std, std::int64_t n,
                 float* x) {
  const InitNormal op{static_cast<double>(std)};
  const InitWords words{seed, name_hash};
  launch_ranges(stream, (n + kBlock - 1) / kBlock, [=] __device__(std::int64_t first, std::int64_t count) {
    WarpLanes{}.each(count, [=](std::int64_t i) {
      const std::int64_t at = (first + i) * kBlock;
      std::uint32_t of[kBlock];
      float values[kBlock];
      words.block(first + i, of);
      op.pairs(OneThread{}, kBlock / 2, of, values);
      AFTUNE_UNROLL
      for (std::int64_t j = 0; j < kBlock; ++j)
        if (at + j < n) x[at + j] = values[j];
    });
  });
}

}  // namespace aftune::kernels::cuda
