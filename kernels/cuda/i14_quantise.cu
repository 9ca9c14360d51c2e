// Factors of profile i14: maxima, sums of squares, digits.

#include "kernels/cuda/i14_digits.cuh"
#include "kernels/cuda/warps.cuh"
#include "kernels/i14_ops.h"

namespace aftune::kernels::cuda {
namespace {

AFTUNE_OP std::uint32_t magnitude_bits(float x) {
  return bits32(x) & 0x7fffffffu;
}

AFTUNE_OP std::uint32_t larger(std::uint32_t a, std::uint32_t b) {
  return a > b ? a : b;
}

/// q^2 for the exact sum of squares. A group of 1024 has at most 1024 * 8127^2 < 2^36.
AFTUNE_OP std::uint64_t square(std::int32_t q) {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(q) * q);
}

AFTUNE_OP void store(const I14Planes& to, std::int64_t chunk, std::int64_t index, std::int64_t k,
                     std::int32_t q) {
  const Digits digits = split(q);
  const std::int64_t at = (chunk * to.extent + index) * kChunk + k;
  to.high[at] = digits.high;
  to.low[at] = digits.low;
}

// --- Columns: 32 of them and one group to a block, whose warps share out the depth.

constexpr int kColumnWarps = 8;

struct ColumnScratch {
  std::uint32_t most[kColumnWarps][kLanes];
  std::uint64_t squares[kColumnWarps][kLanes];
  std::int32_t chunk[kChunk][kLanes + 1];  // by depth and column, to be written the other way round
};

/// One group of one column. All threads of a column agree on its steps.
AFTUNE_OP QuantiseI14::Steps column_steps(const QuantiseI14& op, ColumnScratch& scratch, const float* x,
                                          std::int64_t stride, std::int64_t length) {
  const std::int64_t warp = threadIdx.x / kLanes, lane = threadIdx.x % kLanes;
  std::uint32_t most = 0;
  for (std::int64_t k = warp; k < length; k += kColumnWarps)
    most = larger(most, magnitude_bits(x[k * stride]));
  scratch.most[warp][lane] = most;
  __syncthreads();
  for (int w = 0; w < kColumnWarps; ++w) most = larger(most, scratch.most[w][lane]);
  const QuantiseI14::Steps steps = op.from_largest(most);
  std::uint64_t squares = 0;
  for (std::int64_t k = warp; k < length; k += kColumnWarps)
    squares += square(op.integer(x[k * stride], steps.inverse));
  scratch.squares[warp][lane] = squares;
  __syncthreads();
  squares = 0;
  for (int w = 0; w < kColumnWarps; ++w) squares += scratch.squares[w][lane];
  return op.within_norm(steps, static_cast<std::int64_t>(squares));
}

__global__ void quantise_columns(const I14Depth depth, const float* x, const I14Planes to) {
  AFTUNE_SHARED(ColumnScratch, scratch);
  const std::int64_t warp = threadIdx.x / kLanes, lane = threadIdx.x % kLanes;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kLanes, group = blockIdx.y;
  const I14Group of = depth.groups[group];
  const std::int64_t column = first + lane;
  // Columns that are not there have no depth either.
  const std::int64_t length = column < to.extent ? of.length : 0;
  const float* const from = x + of.start * to.extent + column;
  const QuantiseI14 op{depth.group};
  const QuantiseI14::Steps steps = column_steps(op, scratch, from, to.extent, length);
  if (warp == 0 && column < to.extent) to.scales[group * to.extent + column] = steps.scale;
  for (std::int64_t start = 0; start < of.length; start += kChunk) {
    for (std::int64_t k = warp; k < kChunk; k += kColumnWarps)
      scratch.chunk[k][lane] =
          start + k < length ? op.integer(from[(start + k) * to.extent], steps.inverse) : 0;
    __syncthreads();
    for (std::int64_t c = warp; c < kLanes && first + c < to.extent; c += kColumnWarps)
      store(to, of.chunk + start / kChunk, first + c, lane, scratch.chunk[lane][c]);
    __syncthreads();
  }
}

}  // namespace

void quantise_i14_rows(Stream stream, const I14Depth& depth, std::int64_t x_depth, const float* x,
                       const I14Planes& to) {
  launch_warps(stream, to.extent * depth.count, [=] __device__(std::int64_t i) {
    const std::int64_t index = i / depth.count, group = i % depth.count, lane = WarpLanes::lane();
    const I14Group of = depth.groups[group];
    const float* const from = x + index * x_depth + of.start;
    const QuantiseI14 op{depth.group};
    std::uint32_t most = 0;
    for (std::int64_t k = lane; k < of.length; k += kLanes) most = larger(most, magnitude_bits(from[k]));
    most = WarpLanes::join(most, [](std::uint32_t a, std::uint32_t b) { return larger(a, b); });
    QuantiseI14::Steps steps = op.from_largest(most);
    std::uint64_t squares = 0;
    for (std::int64_t k = lane; k < of.length; k += kLanes)
      squares += square(op.integer(from[k], steps.inverse));
    squares = WarpLanes::join(squares, [](std::uint64_t a, std::uint64_t b) { return a + b; });
    steps = op.within_norm(steps, static_cast<std::int64_t>(squares));
    WarpLanes{}.one(0, [=](std::int64_t) { to.scales[group * to.extent + index] = steps.scale; });
    for (std::int64_t start = 0; start < of.length; start += kChunk) {
      const std::int64_t k = start + lane;
      store(to, of.chunk + start / kChunk, index, lane,
            k < of.length ? op.integer(from[k], steps.inverse) : 0);
    }
  });
}

void quantise_i14_columns(Stream stream, const I14Depth& depth, const float* x, const I14Planes& to) {
  if (to.extent == 0 || depth.count == 0) return;
  const dim3 grid(static_cast<unsigned>((to.extent + kLanes - 1) / kLanes),
                  static_cast<unsigned>(depth.count));
  launch(quantise_columns, grid, static_cast<unsigned>(kColumnWarps * kLanes), 0, stream, depth, x, to);
}

}  // namespace aftune::kernels::cuda
