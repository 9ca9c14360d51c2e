#pragma once

// The matrix products of profile i14 on a GPU (docs/numerics.products.md): what i14.h of the CPU computes,
// with the same bits. All pointers are to device memory; a call is queued on the stream and returns at once.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/cuda/stream.h"

namespace aftune::kernels::cuda {

/// Consecutive indices of the contracted dimension that share a scale, as chunks of 32: the last chunk of a
/// group is filled up with zeros.
struct I14Group {
  std::int64_t start = 0;   ///< its first contracted index
  std::int64_t chunk = 0;   ///< its first chunk
  std::int32_t length = 0;  ///< at most G; 0 for a chain without indices
  std::int32_t ends = 0;    ///< 1 if its chain ends with it
};

/// How the contracted dimension is cut. Host memory.
struct I14Plan {
  int group = 0;  ///< G
  std::int64_t chunks = 0;
  std::vector<I14Group> groups;
};

/// Chains of the contracted indices [chain_starts[c], chain_starts[c + 1]), chains + 1 ascending offsets in
/// host memory: {0, depth} for linear (depth in) and linear_grad_input (depth out), row_starts for
/// linear_grad_weight. `group` is 128, 256, 512 or 1024.
I14Plan plan_i14(std::int64_t chains, const std::int64_t* chain_starts, int group);

/// A plan whose groups have been copied to the device.
struct I14Depth {
  int group = 0;
  std::int64_t chunks = 0, count = 0;
  const I14Group* groups = nullptr;
};

/// A quantised factor: the integers q = 128 high + low, |high| <= 63 and -64 <= low <= 63, and their scales.
/// Byte k of chunk c of an index is at (c * extent + index) * 32 + k of a plane; the scale of group g at g *
/// extent + index.
struct I14Planes {
  std::int64_t extent = 0;  ///< the factor's indices: rows of the product (left) or its columns (right)
  std::int8_t *high = nullptr, *low = nullptr;  ///< at 16-byte boundaries
  float* scales = nullptr;
};
/// Of each plane, and of the scales.
std::size_t i14_plane_bytes(const I14Plan& plan, std::int64_t extent);
std::size_t i14_scale_count(const I14Plan& plan, std::int64_t extent);

/// The indices are the rows of x[extent, depth]: x (left) and w (right) of linear, dy (left) of
/// linear_grad_input. The plan has one chain.
void quantise_i14_rows(Stream stream, const I14Depth& depth, std::int64_t x_depth, const float* x,
                       const I14Planes& to);
/// The indices are the columns of x[depth, extent]: w (right) of linear_grad_input, dy (left) and x (right)
/// of linear_grad_weight.
void quantise_i14_columns(Stream stream, const I14Depth& depth, const float* x, const I14Planes& to);

/// c[left.extent, right.extent], by the tensor cores (dp4a for up to 8 rows): the product is stored or added;
/// of several chains each is added, in order, so that `add` must be true then. Both factors were quantised by
/// this depth.
void multiply_i14(Stream stream, const I14Depth& depth, const I14Planes& left, const I14Planes& right,
                  float* c, bool add);
/// The same bits from 32-bit integers, an element a thread: what the other is checked against.
void multiply_i14_plainly(Stream stream, const I14Depth& depth, const I14Planes& left, const I14Planes& right,
                          float* c, bool add);

}  // namespace aftune::kernels::cuda
