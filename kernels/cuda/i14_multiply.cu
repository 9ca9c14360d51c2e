// Products of profile i14, from the digits of their factors.

#include "kernels/cuda/i14_digits.cuh"
#include "kernels/cuda/warp_lanes.cuh"

namespace aftune::kernels::cuda {
namespace {

// --- Products: a block of four warps forms 64 x 64 elements, a warp 32 x 32, one chunk of depth at a time.

constexpr int kTile = 64;
constexpr int kWarpTile = 32;
constexpr int kThreads = 128;
constexpr int kRowTiles = kWarpTile / 16, kColTiles = kWarpTile / 8;  // of the tensor cores
// Words of a row of a chunk: 8, and 4 more so that the rows of one access lie in different banks.
constexpr int kRowWords = 12;
constexpr int kPlanes = 3;  // high, low and their sum

struct ChunkTiles {
  alignas(16) std::uint32_t left[kPlanes][kTile][kRowWords], right[kPlanes][kTile][kRowWords];
};
using TwoChunks = ChunkTiles[2];

/// Half a row of one factor's chunk, which is what a thread brings to shared memory.
struct HalfRow {
  uint4 high, low;

  AFTUNE_OP static int row() { return static_cast<int>(threadIdx.x) / 2; }
  AFTUNE_OP static int half() { return static_cast<int>(threadIdx.x) % 2; }

  AFTUNE_OP void load(const I14Planes& from, std::int64_t first, std::int64_t chunk, std::int64_t chunks) {
    const std::int64_t index = first + row();
    high = low = {0, 0, 0, 0};
    if (index >= from.extent || chunk >= chunks) return;
    const std::int64_t at = (chunk * from.extent + index) * kChunk + half() * 16;
    high = *reinterpret_cast<const uint4*>(from.high + at);
    low = *reinterpret_cast<const uint4*>(from.low + at);
  }

  AFTUNE_OP void store(std::uint32_t (&to)[kPlanes][kTile][kRowWords]) const {
    *reinterpret_cast<uint4*>(&to[0][row()][half() * 4]) = high;
    *reinterpret_cast<uint4*>(&to[1][row()][half() * 4]) = low;
    *reinterpret_cast<uint4*>(&to[2][row()][half() * 4]) = add_bytes(high, low);
  }
};

/// A warp's exact sums and chains, in the tensor cores' layout: element e of a lane stands in row lane / 4 +
/// e / 2 * 8 and column lane mod 4 * 2 + e mod 2 of its 16 x 8.
struct WarpTile {
  int sums[kPlanes][kRowTiles][kColTiles][4];
  float acc[kRowTiles][kColTiles][4];

  AFTUNE_OP static int lane() { return static_cast<int>(threadIdx.x % kLanes); }
  AFTUNE_OP static int warp() { return static_cast<int>(threadIdx.x / kLanes); }
  AFTUNE_OP static int first_row() { return warp() / 2 * kWarpTile; }
  AFTUNE_OP static int first_col() { return warp() % 2 * kWarpTile; }
  AFTUNE_OP static int row(int i, int e) { return first_row() + i * 16 + lane() / 4 + e / 2 * 8; }
  AFTUNE_OP static int col(int j, int e) { return first_col() + j * 8 + lane() % 4 * 2 + e % 2; }

  AFTUNE_OP void clear_sums() {
    AFTUNE_UNROLL
    for (int plane = 0; plane < kPlanes; ++plane) {
      AFTUNE_UNROLL
      for (int i = 0; i < kRowTiles; ++i) {
        AFTUNE_UNROLL
        for (int j = 0; j < kColTiles; ++j) {
          AFTUNE_UNROLL
          for (int e = 0; e < 4; ++e) sums[plane][i][j][e] = 0;
        }
      }
    }
  }

  AFTUNE_OP void add_chunk(const ChunkTiles& tiles) {
    const int quad = lane() / 4, word = lane() % 4;
    AFTUNE_UNROLL
    for (int plane = 0; plane < kPlanes; ++plane) {
      std::uint32_t a[kRowTiles][4], b[kColTiles][2];
      AFTUNE_UNROLL
      for (int i = 0; i < kRowTiles; ++i) {
        const auto& upper = tiles.left[plane][first_row() + i * 16 + quad];
        const auto& lower = tiles.left[plane][first_row() + i * 16 + quad + 8];
        a[i][0] = upper[word];
        a[i][1] = lower[word];
        a[i][2] = upper[word + 4];
        a[i][3] = lower[word + 4];
      }
      AFTUNE_UNROLL
      for (int j = 0; j < kColTiles; ++j) {
        const auto& column = tiles.right[plane][first_col() + j * 8 + quad];
        b[j][0] = column[word];
        b[j][1] = column[word + 4];
      }
      AFTUNE_UNROLL
      for (int i = 0; i < kRowTiles; ++i) {
        AFTUNE_UNROLL
        for (int j = 0; j < kColTiles; ++j) multiply_bytes(sums[plane][i][j], a[i], b[j]);
      }
    }
  }

  /// The exact dot product of a group.
  AFTUNE_OP std::int32_t dot(int i, int j, int e) const {
    return whole_dot(sums[0][i][j][e], sums[1][i][j][e], sums[2][i][j][e]);
  }
};

AFTUNE_OP float scale_at(const I14Planes& of, std::int64_t group, std::int64_t index) {
  return index < of.extent ? of.scales[group * of.extent + index] : 0.0f;
}

/// The group's sums become the next step of the chains.
AFTUNE_OP void step_chains(WarpTile& tile, const I14Planes& left, const I14Planes& right, std::int64_t group,
                           std::int64_t row, std::int64_t col) {
  float right_scales[kColTiles][2];
  AFTUNE_UNROLL
  for (int j = 0; j < kColTiles; ++j) {
    right_scales[j][0] = scale_at(right, group, col + WarpTile::col(j, 0));
    right_scales[j][1] = scale_at(right, group, col + WarpTile::col(j, 1));
  }
  AFTUNE_UNROLL
  for (int i = 0; i < kRowTiles; ++i) {
    const float left_scales[2] = {scale_at(left, group, row + WarpTile::row(i, 0)),
                                  scale_at(left, group, row + WarpTile::row(i, 2))};
    AFTUNE_UNROLL
    for (int j = 0; j < kColTiles; ++j) {
      AFTUNE_UNROLL
      for (int e = 0; e < 4; ++e)
        tile.acc[i][j][e] = fma32(static_cast<float>(tile.dot(i, j, e)),
                                  left_scales[e / 2] * right_scales[j][e % 2], tile.acc[i][j][e]);
    }
  }
}

AFTUNE_OP void finish_chains(WarpTile& tile, std::int64_t row, std::int64_t rows, std::int64_t col,
                             std::int64_t cols, float* c, bool add) {
  AFTUNE_UNROLL
  for (int i = 0; i < kRowTiles; ++i) {
    AFTUNE_UNROLL
    for (int j = 0; j < kColTiles; ++j) {
      AFTUNE_UNROLL
      for (int e = 0; e < 4; ++e) {
        const std::int64_t r = row + WarpTile::row(i, e), at = col + WarpTile::col(j, e);
        if (r < rows && at < cols) finish(c + r * cols + at, tile.acc[i][j][e], add);
        tile.acc[i][j][e] = 0.0f;
      }
    }
  }
}

__global__ void __launch_bounds__(kThreads, 2)
    multiply_tiles(const I14Depth depth, const I14Planes left, const I14Planes right, float* c, bool add) {
  AFTUNE_SHARED(TwoChunks, buffers);
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.y) * kTile;
  const std::int64_t col = static_cast<std::int64_t>(blockIdx.x) * kTile;
  HalfRow next_left, next_right;
  next_left.load(left, row, 0, depth.chunks);
  next_right.load(right, col, 0, depth.chunks);
  int buffer = 0;
  WarpTile tile;
  AFTUNE_UNROLL
  for (int i = 0; i < kRowTiles; ++i) {
    AFTUNE_UNROLL
    for (int j = 0; j < kColTiles; ++j) {
      AFTUNE_UNROLL
      for (int e = 0; e < 4; ++e) tile.acc[i][j][e] = 0.0f;
    }
  }
  for (std::int64_t group = 0; group < depth.count; ++group) {
    const I14Group of = depth.groups[group];
    tile.clear_sums();
    const std::int64_t end = of.chunk + (of.length + kChunk - 1) / kChunk;
    for (std::int64_t chunk = of.chunk; chunk < end; ++chunk) {
      // Who is still at the other buffer passed the last barrier, and so is done with this one.
      ChunkTiles& tiles = buffers[buffer];
      next_left.store(tiles.left);
      next_right.store(tiles.right);
      __syncthreads();
      // Chunks of one group follow those of the one before: what comes next need not be in this group.
      next_left.load(left, row, chunk + 1, depth.chunks);
      next_right.load(right, col, chunk + 1, depth.chunks);
      tile.add_chunk(tiles);
      buffer ^= 1;
    }
    step_chains(tile, left, right, group, row, col);
    if (of.ends != 0) finish_chains(tile, row, left.extent, col, right.extent, c, add);
  }
}

// --- Few rows, as in decoding: what counts is how many of the right factor's bytes are on their way. Eight
// lanes share a column, each has a word of every chunk: 128 bytes in a row for the warp's four columns.

constexpr int kFewRows = 8;
constexpr int kFewCols = 4, kColLanes = 8;

/// The word of a chunk that this lane has.
struct DigitWords {
  std::uint32_t high, low;

  AFTUNE_OP static DigitWords load(const I14Planes& from, std::int64_t chunk, std::int64_t index, int word) {
    if (index >= from.extent) return {0, 0};
    const std::int64_t at = (chunk * from.extent + index) * kChunk + word * 4;
    return {*reinterpret_cast<const std::uint32_t*>(from.high + at),
            *reinterpret_cast<const std::uint32_t*>(from.low + at)};
  }
};

AFTUNE_OP std::uint32_t dot_bytes(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>(__dp4a(static_cast<int>(a), static_cast<int>(b), 0));
}

/// Their part of the exact dot product, modulo 2^32.
AFTUNE_OP std::uint32_t dot_words(const DigitWords& a, const DigitWords& b) {
  const std::uint32_t hh = dot_bytes(a.high, b.high), ll = dot_bytes(a.low, b.low);
  const std::uint32_t m = dot_bytes(add_bytes(a.high, a.low), add_bytes(b.high, b.low));
  return 127u * (128u * hh - ll) + 128u * m;
}

template <int kRows>
__global__ void multiply_few_rows(const I14Depth depth, const I14Planes left, const I14Planes right, float* c,
                                  bool add) {
  const int lane = static_cast<int>(threadIdx.x % kLanes), word = lane % kColLanes;
  const std::int64_t warp = (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kLanes;
  const std::int64_t col = warp * kFewCols + lane / kColLanes;
  float acc[kRows] = {};
  for (std::int64_t group = 0; group < depth.count; ++group) {
    const I14Group of = depth.groups[group];
    const int chunks = (of.length + kChunk - 1) / kChunk;
    std::uint32_t dots[kRows] = {};
    AFTUNE_UNROLL_4
    for (int i = 0; i < chunks; ++i) {
      const DigitWords b = DigitWords::load(right, of.chunk + i, col, word);
      AFTUNE_UNROLL
      for (int r = 0; r < kRows; ++r) dots[r] += dot_words(DigitWords::load(left, of.chunk + i, r, word), b);
    }
    const float right_scale = scale_at(right, group, col);
    AFTUNE_UNROLL
    for (int r = 0; r < kRows; ++r) {
      AFTUNE_UNROLL
      for (int distance = kColLanes / 2; distance > 0; distance /= 2)
        dots[r] += __shfl_xor_sync(WarpLanes::kAll, dots[r], distance);
      acc[r] = fma32(static_cast<float>(static_cast<std::int32_t>(dots[r])),
                     scale_at(left, group, r) * right_scale, acc[r]);
    }
    if (of.ends == 0) continue;
    AFTUNE_UNROLL
    for (int r = 0; r < kRows; ++r) {
      if (word == 0 && col < right.extent && r < left.extent) finish(c + r * right.extent + col, acc[r], add);
      acc[r] = 0.0f;
    }
  }
}

__global__ void multiply_elements(const I14Depth depth, const I14Planes left, const I14Planes right, float* c,
                                  bool add) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= left.extent * right.extent) return;
  const std::int64_t row = at / right.extent, col = at % right.extent;
  float acc = 0.0f;
  for (std::int64_t group = 0; group < depth.count; ++group) {
    const I14Group of = depth.groups[group];
    std::int32_t dot = 0;
    for (std::int64_t k = 0; k < of.length; ++k) {
      const std::int64_t chunk = of.chunk + k / kChunk;
      const std::int64_t l = (chunk * left.extent + row) * kChunk + k % kChunk;
      const std::int64_t r = (chunk * right.extent + col) * kChunk + k % kChunk;
      dot += whole(left.high[l], left.low[l]) * whole(right.high[r], right.low[r]);
    }
    acc = fma32(static_cast<float>(dot), scale_at(left, group, row) * scale_at(right, group, col), acc);
    if (of.ends == 0) continue;
    finish(c + at, acc, add);
    acc = 0.0f;
  }
}

}  // namespace

void multiply_i14(Stream stream, const I14Depth& depth, const I14Planes& left, const I14Planes& right,
                  float* c, bool add) {
  if (left.extent == 0 || right.extent == 0) return;
  if (left.extent <= kFewRows) {
    constexpr unsigned kBlock = 128;
    constexpr std::int64_t kBlockCols = kBlock / kLanes * kFewCols;
    const auto blocks = static_cast<unsigned>((right.extent + kBlockCols - 1) / kBlockCols);
    const auto kernel = left.extent == 1   ? multiply_few_rows<1>
                        : left.extent == 2 ? multiply_few_rows<2>
                        : left.extent <= 4 ? multiply_few_rows<4>
                                           : multiply_few_rows<kFewRows>;
    launch(kernel, blocks, kBlock, 0, stream, depth, left, right, c, add);
    return;
  }
  const dim3 grid(static_cast<unsigned>((right.extent + kTile - 1) / kTile),
                  static_cast<unsigned>((left.extent + kTile - 1) / kTile));
  launch(multiply_tiles, grid, kThreads, 0, stream, depth, left, right, c, add);
}

void multiply_i14_plainly(Stream stream, const I14Depth& depth, const I14Planes& left, const I14Planes& right,
                          float* c, bool add) {
  constexpr std::int64_t kBlock = 128;
  const std::int64_t elements = left.extent * right.extent;
  if (elements == 0) return;
  launch(multiply_elements, static_cast<unsigned>((elements + kBlock - 1) / kBlock),
         static_cast<unsigned>(kBlock), 0, stream, depth, left, right, c, add);
}

}  // namespace aftune::kernels::cuda
