#include "kernels/cuda/native.h"

#include <algorithm>

#include "kernels/bf16.h"
#include "kernels/cuda/device.cuh"
#include "kernels/target.h"

namespace aftune::kernels::cuda {
namespace {

constexpr std::int64_t kBlock = 256;
constexpr std::int64_t kMostRows = 4096, kMostCols = 8192;      // of a panel
constexpr std::int64_t kMostElements = std::int64_t{64} << 20;  // of a factor's
constexpr std::int64_t kLeastIndices = 128;

unsigned blocks_for(std::int64_t n) {
  return static_cast<unsigned>((n + kBlock - 1) / kBlock);
}

std::size_t aligned(std::int64_t bytes) {
  constexpr std::size_t kAlignment = 256;
  return (static_cast<std::size_t>(bytes) + kAlignment - 1) / kAlignment * kAlignment;
}

/// Indices of one factor that are multiplied at a time.
std::int64_t panel_of(std::int64_t extent, std::int64_t depth, std::int64_t most) {
  const std::int64_t fits = kMostElements / std::max<std::int64_t>(1, depth) / kLeastIndices * kLeastIndices;
  return std::min(extent, std::clamp(fits, kLeastIndices, most));
}

std::int64_t packed_elements(std::int64_t indices, std::int64_t depth) {
  return std::max(indices * cublas_padded(depth), depth * cublas_padded(indices));
}

struct Panels {
  std::int64_t rows, cols;
  std::size_t left_bytes, right_bytes, product_bytes;

  explicit Panels(const NativeProduct& p)
      : rows(panel_of(p.rows, p.depth, kMostRows)),
        cols(panel_of(p.cols, p.depth, kMostCols)),
        left_bytes(aligned(packed_elements(rows, p.depth) * 2)),
        right_bytes(aligned(packed_elements(cols, p.depth) * 2)),
        product_bytes(aligned(rows * cublas_padded(cols) * 4)) {}
};

/// to[i, j] = from[i, j] as bf16, for i < outer and j < inner.
__global__ void pack_bf16(std::int64_t outer, std::int64_t inner, const float* from, std::int64_t from_stride,
                          std::uint16_t* to, std::int64_t to_stride) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= outer * inner) return;
  const std::int64_t i = at / inner, j = at % inner;
  to[i * to_stride + j] = static_cast<std::uint16_t>(RoundBf16::bits(from[i * from_stride + j]) >> 16);
}

Cublas::Bf16 pack(Stream stream, const NativeProduct::Factor& from, std::int64_t first, std::int64_t indices,
                  std::int64_t depth, std::byte* at) {
  auto* const to = reinterpret_cast<std::uint16_t*>(at);
  const std::int64_t outer = from.by_columns ? depth : indices, inner = from.by_columns ? indices : depth;
  const std::int64_t stride = cublas_padded(inner);
  const float* const source = from.values + first * (from.by_columns ? 1 : from.stride);
  launch(pack_bf16, blocks_for(outer * inner), static_cast<unsigned>(kBlock), 0, stream, outer, inner, source,
         from.stride, to, stride);
  return {to, stride, from.by_columns};
}

/// A panel of a product goes to its place in c. Without terms (`none`) it is +0.
__global__ void deliver(std::int64_t rows, std::int64_t cols, const float* product, std::int64_t stride,
                        bool none, float* c, std::int64_t c_stride, bool add) {
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= rows * cols) return;
  const std::int64_t i = at / cols, j = at % cols;
  const float result = (none ? 0.0f : product[i * stride + j]) + 0.0f;
  float* const to = c + i * c_stride + j;
  *to = add ? *to + result : result;
}

}  // namespace

std::size_t native_workspace_bytes(const NativeProduct& product) {
  const Panels panels(product);
  return panels.left_bytes + panels.right_bytes + panels.product_bytes;
}

void multiply_native(Stream stream, Cublas& cublas, const NativeProduct& p, std::byte* workspace) {
  const Panels panels(p);
  std::byte* const right_at = workspace + panels.left_bytes;
  auto* const product = reinterpret_cast<float*>(right_at + panels.right_bytes);
  for (std::int64_t col = 0; col < p.cols; col += panels.cols) {
    const std::int64_t cols = std::min(panels.cols, p.cols - col), stride = cublas_padded(cols);
    Cublas::Bf16 right;
    if (p.depth != 0) right = pack(stream, p.right, col, cols, p.depth, right_at);
    for (std::int64_t row = 0; row < p.rows; row += panels.rows) {
      const std::int64_t rows = std::min(panels.rows, p.rows - row);
      if (p.depth != 0)
        cublas.multiply_bf16(rows, cols, p.depth, pack(stream, p.left, row, rows, p.depth, workspace), right,
                             product, stride);
      launch(deliver, blocks_for(rows * cols), static_cast<unsigned>(kBlock), 0, stream, rows, cols,
             static_cast<const float*>(product), stride, p.depth == 0, p.c + row * p.cols + col, p.cols,
             p.add);
    }
  }
}

}  // namespace aftune::kernels::cuda
