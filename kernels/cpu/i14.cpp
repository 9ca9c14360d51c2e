#include "kernels/i14.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/cpu/i14_factor.h"
#include "kernels/cpu/tasks.h"
#include "kernels/device.h"
#include "kernels/i14_ops.h"

namespace aftune::kernels {
namespace {

// Depth that is multiplied at once: a packed tile of the left factor (14 x 1024 16-bit integers) takes most
// of the first-level cache.
constexpr std::int64_t kWordsPerBlock = 1024 / 2 + 1024 / 128;
// Columns of a task: its share of the right factor takes half of the second-level cache.
constexpr std::int64_t kColsPerTask = 256;
// For one tile of rows its share is read once and only so large that the threads end together.
constexpr std::int64_t kColsPerTaskOfTile = 64;
constexpr std::int64_t kPanelsPerPacking = 8;
constexpr std::int64_t kMinTilesPerBand = 8;

void plan_groups(std::int64_t chains, const std::int64_t* chain_starts, int group,
                 std::vector<DepthGroup>& groups) {
  groups.clear();
  for (std::int64_t chain = 0; chain < chains; ++chain) {
    const std::int64_t end = chain_starts[chain + 1];
    std::int64_t start = chain_starts[chain];
    bool begins = true;
    do {
      const std::int64_t length = std::min<std::int64_t>(group, end - start);
      groups.push_back({start, length, begins, start + length == end});
      start += length;
      begins = false;
    } while (start < end);
  }
}

void plan_blocks(const std::vector<DepthGroup>& groups, std::vector<I14Block>& blocks) {
  blocks.clear();
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::int64_t words = groups[g].words();
    if (blocks.empty())
      blocks.push_back({g, 0, 0, 0});
    else if (blocks.back().words + words > kWordsPerBlock)
      blocks.push_back({g, 0, blocks.back().offset + blocks.back().words, 0});
    blocks.back().words += words;
    ++blocks.back().count;
  }
}

Operand part(const Operand& from, std::int64_t i, std::int64_t k) {
  const std::int64_t offset = from.depth_outer ? k * from.stride + i : i * from.stride + k;
  return {from.data + offset, from.stride, from.depth_outer};
}

std::int64_t depth_words(const std::vector<I14Block>& blocks) {
  return blocks.empty() ? 0 : blocks.back().offset + blocks.back().words;
}

class Multiplication {
 public:
  Multiplication(const PackedFactor& left, const PackedFactor& right, bool adds, float* c,
                 std::int64_t c_stride)
      : left_(left), right_(right), adds_(adds), c_(c), c_stride_(c_stride) {
    for (const I14Block& block : left.blocks) waits_ = waits_ || !left.groups[block.first].begins;
  }

  void run(ThreadPool& pool) const {
    const bool small = left_.extent * right_.extent * 2 * depth_words(left_.blocks) < kSmallProduct;
    const std::int64_t task_cols = left_.extent <= left_.tile() ? kColsPerTaskOfTile : kColsPerTask;
    const std::int64_t columns = ceil_div(right_.extent, task_cols);
    const std::int64_t task_rows =
        rows_per_task(pool.threads(), columns, left_.padded_extent / left_.tile(), left_.tile());
    run_tasks(pool, small, columns * ceil_div(left_.extent, task_rows), [&](std::int64_t i) {
      const std::int64_t row = i / columns * task_rows, col = i % columns * task_cols;
      multiply_part(row, std::min(task_rows, left_.extent - row), col,
                    std::min(task_cols, right_.extent - col));
    });
  }

 private:
  void multiply_part(std::int64_t row, std::int64_t rows, std::int64_t col, std::int64_t cols) const {
    I14PanelProduct product;
    product.rows = rows;
    product.cols = cols;
    product.adds = adds_;
    product.c = c_ + row * c_stride_ + col;
    product.c_stride = c_stride_;
    // Incomplete chains wait in c itself, unless c holds what they are to be added to.
    const bool apart = adds_ && waits_;
    product.partial = apart ? scratch(Scratch::kPartial, rows * kColsPerTask) : product.c;
    product.partial_stride = apart ? kColsPerTask : c_stride_;
    for (const I14Block& block : left_.blocks) {
      product.words = block.words;
      product.left = left_.panel(block, row);
      product.right = right_.panel(block, col);
      product.groups = left_.groups.data() + block.first;
      product.group_count = static_cast<std::int64_t>(block.count);
      left_.table->multiply_panels(product);
    }
  }

  const PackedFactor& left_;
  const PackedFactor& right_;
  bool adds_;
  float* c_;
  std::int64_t c_stride_;
  bool waits_ = false;
};

/// Factors of products that are quantised for one product; their memory is kept for the life of the thread.
PackedFactor& own_factor(Side side) {
  thread_local PackedFactor factors[2];
  return factors[side == Side::kLeft ? 0 : 1];
}

std::int64_t indices_per_band(std::int64_t packing_limit, std::int64_t words, int tile) {
  return std::max(kMinTilesPerBand, packing_limit / std::max<std::int64_t>(1, words) / tile) * tile;
}

}  // namespace

const I14Table& i14_table(Isa isa) {
#if defined(__x86_64__)
  static constexpr I14Table kVnni = {&avx512::i14_quantiser, avx512vnni::multiply_i14_panels};
  static constexpr I14Table kAvx512 = {&avx512::i14_quantiser, avx512::multiply_i14_panels};
  static constexpr I14Table kAvx2 = {&avx2::i14_quantiser, avx2::multiply_i14_panels};
  if (isa == Isa::kAvx512Vnni) return kVnni;
  if (isa == Isa::kAvx512) return kAvx512;
  if (isa == Isa::kAvx2) return kAvx2;
#endif
  static_cast<void>(isa);
  static constexpr I14Table kScalar = {&scalar::i14_quantiser, scalar::multiply_i14_panels};
  return kScalar;
}

void quantise_i14(ThreadPool& pool, const I14Table& table, Side side, const Operand& from,
                  std::int64_t extent, std::int64_t chains, const std::int64_t* chain_starts, int group,
                  PackedFactor& to) {
  AFTUNE_CHECK(is_i14_group(group));
  to.table = &table;
  to.side = side;
  to.group = group;
  const int tile = to.tile();
  to.extent = extent;
  to.padded_extent = ceil_div(extent, tile) * tile;
  plan_groups(chains, chain_starts, group, to.groups);
  plan_blocks(to.groups, to.blocks);
  const std::int64_t words = depth_words(to.blocks);
  to.memory.at_least(to.padded_extent * words * static_cast<std::int64_t>(sizeof(std::uint32_t)));
  const std::int64_t per_task = kPanelsPerPacking * tile;
  // The work of one multiplication is that of some eight of a product.
  const bool small = extent * words * 16 < kSmallProduct;
  run_tasks(pool, small, ceil_div(extent, per_task), [&](std::int64_t task) {
    const std::int64_t first = task * per_task;
    for (const I14Block& block : to.blocks) {
      std::uint32_t* panels = to.panel(block, first);
      for (std::size_t g = block.first; g < block.first + block.count; ++g) {
        const DepthGroup& of = to.groups[g];
        table.quantiser->quantise(side, part(from, first, of.start), std::min(per_task, extent - first),
                                  of.length, group, panels, block.words * tile);
        panels += of.words() * tile;
      }
    }
  });
}

void multiply_i14(ThreadPool& pool, const PackedFactor& left, const PackedFactor& right, bool adds, float* c,
                  std::int64_t c_stride) {
  AFTUNE_CHECK(left.side == Side::kLeft && right.side == Side::kRight && left.table == right.table);
  AFTUNE_CHECK(left.group == right.group && left.groups == right.groups);
  AFTUNE_CHECK(adds || left.groups.empty() ||
               std::count_if(left.groups.begin(), left.groups.end(),
                             [](const DepthGroup& g) { return g.begins; }) == 1);
  if (left.extent == 0 || right.extent == 0) return;
  Multiplication(left, right, adds, c, c_stride).run(pool);
}

void multiply_i14(ThreadPool& pool, const I14Table& table, const I14Product& product) {
  PackedFactor& left = own_factor(Side::kLeft);
  PackedFactor& right = own_factor(Side::kRight);
  const std::int64_t words =
      (product.chain_starts[product.chains] - product.chain_starts[0]) / 2 + 2 * product.chains + 2;
  const std::int64_t rows = indices_per_band(product.packing_limit, words, table.quantiser->tile_rows);
  const std::int64_t cols = indices_per_band(product.packing_limit, words, table.quantiser->tile_cols);
  const auto quantise = [&](Side side, const Operand& from, std::int64_t first, std::int64_t extent,
                            PackedFactor& to) {
    quantise_i14(pool, table, side, part(from, first, 0), extent, product.chains, product.chain_starts,
                 product.group, to);
  };
  for (std::int64_t row = 0; row < product.rows; row += rows) {
    quantise(Side::kLeft, product.left, row, std::min(rows, product.rows - row), left);
    for (std::int64_t col = 0; col < product.cols; col += cols) {
      quantise(Side::kRight, product.right, col, std::min(cols, product.cols - col), right);
      multiply_i14(pool, left, right, product.adds, product.c + row * product.cols + col, product.cols);
    }
  }
}

bool is_i14_group(std::int64_t group) {
  return group == 128 || group == 256 || group == 512 || group == 1024;
}

I14Factor::I14Factor() : packed_(std::make_unique<PackedFactor>()) {}
I14Factor::I14Factor(I14Factor&&) noexcept = default;
I14Factor& I14Factor::operator=(I14Factor&&) noexcept = default;
I14Factor::~I14Factor() = default;

void I14Factor::quantise_rows(ThreadPool& pool, Side side, std::int64_t n, std::int64_t depth, const float* x,
                              int group) {
  if (Device* const device = device_of(pool)) {
    packed_->extent = n;
    return device->quantise_rows(on_device_, n, depth, x, group);
  }
  const std::int64_t chain[] = {0, depth};
  quantise_i14(pool, i14_table(active_isa()), side, {x, depth, false}, n, 1, chain, group, *packed_);
}

void I14Factor::quantise_columns(ThreadPool& pool, Side side, std::int64_t n, std::int64_t depth,
                                 const float* x, int group) {
  const std::int64_t chain[] = {0, depth};
  quantise_columns(pool, side, n, 1, chain, x, group);
}

void I14Factor::quantise_columns(ThreadPool& pool, Side side, std::int64_t n, std::int64_t chains,
                                 const std::int64_t* chain_starts, const float* x, int group) {
  if (Device* const device = device_of(pool)) {
    packed_->extent = n;
    return device->quantise_columns(on_device_, n, chains, chain_starts, x, group);
  }
  quantise_i14(pool, i14_table(active_isa()), side, {x, n, true}, n, chains, chain_starts, group, *packed_);
}

std::int64_t I14Factor::extent() const {
  return packed_->extent;
}

void multiply_i14(ThreadPool& pool, const I14Factor& left, const I14Factor& right, float* c, Into into) {
  if (Device* const device = device_of(pool))
    return device->multiply_i14(*left.on_device_, *right.on_device_, c, into);
  multiply_i14(pool, *left.packed_, *right.packed_, into == Into::kAdd, c, right.extent());
}

void linear_i14(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out, const float* x,
                const float* w, float* y, Into into, int group) {
  if (device_of(pool) != nullptr) {
    I14Factor left, right;
    left.quantise_rows(pool, Side::kLeft, n, in, x, group);
    right.quantise_rows(pool, Side::kRight, out, in, w, group);
    return multiply_i14(pool, left, right, y, into);
  }
  const std::int64_t chain[] = {0, in};
  multiply_i14(pool, i14_table(active_isa()),
               {n, out, {x, in, false}, {w, in, false}, 1, chain, group, y, into == Into::kAdd});
}

void linear_grad_input_i14(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out,
                           const float* dy, const float* w, float* dx, Into into, int group) {
  if (device_of(pool) != nullptr) {
    I14Factor left, right;
    left.quantise_rows(pool, Side::kLeft, n, out, dy, group);
    right.quantise_columns(pool, Side::kRight, in, out, w, group);
    return multiply_i14(pool, left, right, dx, into);
  }
  const std::int64_t chain[] = {0, out};
  multiply_i14(pool, i14_table(active_isa()),
               {n, in, {dy, out, false}, {w, in, true}, 1, chain, group, dx, into == Into::kAdd});
}

void linear_grad_weight_i14(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts,
                            std::int64_t in, std::int64_t out, const float* dy, const float* x, float* dw,
                            int group) {
  if (device_of(pool) != nullptr) {
    I14Factor left, right;
    left.quantise_columns(pool, Side::kLeft, out, rows, row_starts, dy, group);
    right.quantise_columns(pool, Side::kRight, in, rows, row_starts, x, group);
    return multiply_i14(pool, left, right, dw, Into::kAdd);
  }
  multiply_i14(pool, i14_table(active_isa()),
               {out, in, {dy, out, true}, {x, in, true}, rows, row_starts, group, dw, true});
}

}  // namespace aftune::kernels
