#pragma once

// Factors of profile i14 in memory, and the products of whole factors.

#include <cstdint>
#include <vector>

#include "base/parallel.h"
#include "kernels/cpu/i14.h"
#include "kernels/cpu/workspace.h"

namespace aftune::kernels {

/// Some groups that are multiplied before the next ones: their packed panels fit the caches.
struct I14Block {
  std::size_t first = 0, count = 0;
  std::int64_t offset = 0, words = 0;  ///< of an index: before the block, and in it
};

struct PackedFactor {
  const I14Table* table = nullptr;
  Side side = Side::kLeft;
  int group = 0;
  std::int64_t extent = 0, padded_extent = 0;
  std::int64_t chains = 0;
  std::vector<DepthGroup> groups;
  std::vector<I14Block> blocks;
  WorkArea memory;

  int tile() const { return side == Side::kLeft ? table->quantiser->tile_rows : table->quantiser->tile_cols; }
  /// In a block of depth, panels lie one after the other; `first` is a multiple of the tile's indices.
  std::uint32_t* panel(const I14Block& block, std::int64_t first) const {
    return static_cast<std::uint32_t*>(memory.get()) + padded_extent * block.offset + first * block.words;
  }
};

/// Quantises `extent` indices of `from` over the chains of its depth.
void quantise_i14(ThreadPool& pool, const I14Table& table, Side side, const Operand& from,
                  std::int64_t extent, std::int64_t chains, const std::int64_t* chain_starts, int group,
                  PackedFactor& to);

/// The product of packed factors at c, whose rows lie c_stride apart.
void multiply_i14(ThreadPool& pool, const PackedFactor& left, const PackedFactor& right, bool adds, float* c,
                  std::int64_t c_stride);

/// Operands of a product that are quantised for it alone, in bands of at most `packing_limit` words.
struct I14Product {
  std::int64_t rows = 0, cols = 0;
  Operand left, right;
  std::int64_t chains = 0;
  const std::int64_t* chain_starts = nullptr;
  int group = 0;
  float* c = nullptr;
  bool adds = false;
  std::int64_t packing_limit = std::int64_t{16} << 20;
};
void multiply_i14(ThreadPool& pool, const I14Table& table, const I14Product& product);

}  // namespace aftune::kernels
