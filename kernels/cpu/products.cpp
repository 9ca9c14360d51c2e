#include "kernels/cpu/products.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/few_rows.h"
#include "kernels/cpu/tasks.h"
#include "kernels/cpu/workspace.h"
#include "kernels/device.h"
#include "kernels/ops.h"

namespace aftune::kernels {
namespace {

// Depth that is packed at once: a packed tile of the left factor (14 x 512 floats) takes most of the
// first-level cache.
constexpr std::int64_t kDepthBlock = 512;
// Columns of a task: its packed share of the right factor takes half of the second-level cache.
constexpr std::int64_t kColsPerTask = 256;
constexpr std::int64_t kTilesPerPacking = 8;
// The packed left factor is bounded by cutting C into bands of rows; the right factor is packed again for
// each.
constexpr std::int64_t kMinTilesPerBand = 8;

/// A block of depth: one or more whole chains, or a piece of one long chain.
struct DepthBlock {
  std::int64_t start = 0, length = 0;
  std::size_t first_stretch = 0, stretch_count = 0;
};

struct DepthPlan {
  std::vector<DepthBlock> blocks;
  std::vector<Stretch> stretches;
  bool splits_chains = false;

  void add(std::int64_t start, const Stretch& stretch) {
    if (blocks.empty() || blocks.back().length + stretch.length > kDepthBlock)
      blocks.push_back({start, 0, stretches.size(), 0});
    blocks.back().length += stretch.length;
    ++blocks.back().stretch_count;
    stretches.push_back(stretch);
    splits_chains = splits_chains || !stretch.begins || !stretch.ends;
  }
};

DepthPlan plan_depth(const Product& product) {
  DepthPlan plan;
  for (std::int64_t chain = 0; chain < product.chains; ++chain) {
    const std::int64_t start = product.chain_starts[chain];
    const std::int64_t length = product.chain_starts[chain + 1] - start;
    const std::int64_t pieces = std::max<std::int64_t>(1, ceil_div(length, kDepthBlock));
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
      const std::int64_t from = length * piece / pieces, to = length * (piece + 1) / pieces;
      plan.add(start + from, {to - from, piece == 0, piece + 1 == pieces, product.adds});
    }
  }
  return plan;
}

/// A band of rows of C.
class Band {
 public:
  Band(const ProductTable& table, const Product& product, const DepthPlan& plan, std::int64_t first_row,
       std::int64_t rows)
      : table_(table), product_(product), plan_(plan), first_row_(first_row), rows_(rows) {
    padded_rows_ = ceil_div(rows, table.tile_rows) * table.tile_rows;
    depth_start_ = plan.blocks.front().start;
    depth_ = plan.blocks.back().start + plan.blocks.back().length - depth_start_;
    left_ = scratch(Scratch::kLeft, padded_rows_ * depth_);
    small_ = rows * product.cols * depth_ < kSmallProduct;
  }

  void multiply(ThreadPool& pool) const {
    const std::int64_t packed_rows = kTilesPerPacking * table_.tile_rows;
    run_tasks(pool, small_, ceil_div(rows_, packed_rows), [&](std::int64_t i) {
      pack_rows(i * packed_rows, std::min(packed_rows, rows_ - i * packed_rows));
    });
    const std::int64_t columns = ceil_div(product_.cols, kColsPerTask);
    const std::int64_t task_rows =
        rows_per_task(pool.threads(), columns, padded_rows_ / table_.tile_rows, table_.tile_rows);
    run_tasks(pool, small_, columns * ceil_div(rows_, task_rows), [&](std::int64_t i) {
      const std::int64_t row = i / columns * task_rows, col = i % columns * kColsPerTask;
      multiply_part(row, std::min(task_rows, rows_ - row), col, std::min(kColsPerTask, product_.cols - col));
    });
  }

 private:
  float* packed(const DepthBlock& block, std::int64_t row) const {
    return left_ + padded_rows_ * (block.start - depth_start_) + row * block.length;
  }

  void pack_rows(std::int64_t row, std::int64_t rows) const {
    for (const DepthBlock& block : plan_.blocks)
      table_.pack_left(product_.left, first_row_ + row, rows, block.start, block.length, packed(block, row));
  }

  void multiply_part(std::int64_t row, std::int64_t rows, std::int64_t col, std::int64_t cols) const {
    float* right = scratch(Scratch::kRight, kColsPerTask * std::min(depth_, kDepthBlock));
    PanelProduct part;
    part.rows = rows;
    part.cols = cols;
    part.c = product_.c + (first_row_ + row) * product_.cols + col;
    part.c_stride = product_.cols;
    // Incomplete chains wait in c itself, unless c holds what they are to be added to.
    const bool apart = product_.adds && plan_.splits_chains;
    part.partial = apart ? scratch(Scratch::kPartial, rows * kColsPerTask) : part.c;
    part.partial_stride = apart ? kColsPerTask : part.c_stride;
    for (const DepthBlock& block : plan_.blocks) {
      table_.pack_right(product_.right, col, cols, block.start, block.length, right);
      part.depth = block.length;
      part.left = packed(block, row);
      part.right = right;
      part.stretches = plan_.stretches.data() + block.first_stretch;
      part.stretch_count = static_cast<std::int64_t>(block.stretch_count);
      table_.multiply_panels(part);
    }
  }

  const ProductTable& table_;
  const Product& product_;
  const DepthPlan& plan_;
  std::int64_t first_row_, rows_, padded_rows_ = 0, depth_start_ = 0, depth_ = 0;
  float* left_ = nullptr;
  bool small_ = false;
};

}  // namespace

const ProductTable& product_table(Isa isa) {
#if defined(__x86_64__)
  if (isa >= Isa::kAvx512) return avx512::product_table;
  if (isa == Isa::kAvx2) return avx2::product_table;
#endif
  static_cast<void>(isa);
  return scalar::product_table;
}

void multiply(ThreadPool& pool, const ProductTable& table, const Product& product) {
  if (product.rows == 0 || product.cols == 0 || product.chains == 0) return;
  const DepthPlan plan = plan_depth(product);
  const std::int64_t depth =
      std::max<std::int64_t>(1, product.chain_starts[product.chains] - product.chain_starts[0]);
  const std::int64_t tiles = std::max(kMinTilesPerBand, product.packing_limit / depth / table.tile_rows);
  const std::int64_t band_rows = tiles * table.tile_rows;
  for (std::int64_t row = 0; row < product.rows; row += band_rows)
    Band(table, product, plan, row, std::min(band_rows, product.rows - row)).multiply(pool);
}

void linear(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out, const float* x,
            const float* w, float* y, Into into) {
  if (Device* const device = device_of(pool)) return device->linear(n, in, out, x, w, y, into);
  if (n <= kFewRows)
    return multiply_few(pool, active_isa(), x, {n, out, in, nullptr, w, in, into == Into::kAdd, y, out});
  const std::int64_t chain[] = {0, in};
  multiply(pool, product_table(active_isa()),
           {n, out, {x, in, false}, {w, in, false}, 1, chain, y, into == Into::kAdd});
}

void linear_grad_input(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out, const float* dy,
                       const float* w, float* dx, Into into) {
  if (Device* const device = device_of(pool)) return device->linear_grad_input(n, in, out, dy, w, dx, into);
  const std::int64_t chain[] = {0, out};
  multiply(pool, product_table(active_isa()),
           {n, in, {dy, out, false}, {w, in, true}, 1, chain, dx, into == Into::kAdd});
}

void linear_grad_weight(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts, std::int64_t in,
                        std::int64_t out, const float* dy, const float* x, float* dw) {
  if (Device* const device = device_of(pool))
    return device->linear_grad_weight(rows, row_starts, in, out, dy, x, dw);
  multiply(pool, product_table(active_isa()),
           {out, in, {dy, out, true}, {x, in, true}, rows, row_starts, dw, true});
}

}  // namespace aftune::kernels
