#pragma once

// The matrix product: what all products of kernels/ops.h are, and its per-ISA half.

#include <cstdint>

#include "base/cpu.h"
#include "base/parallel.h"
#include "kernels/cpu/operand.h"
#include "kernels/cpu/stretch.h"

namespace aftune::kernels {

/// Packed panels of `rows` x `cols` of C over one block of depth.
struct PanelProduct {
  std::int64_t rows = 0, cols = 0, depth = 0;
  const float* left = nullptr;
  const float* right = nullptr;
  const Stretch* stretches = nullptr;
  std::int64_t stretch_count = 0;
  float* c = nullptr;
  std::int64_t c_stride = 0;
  float* partial = nullptr;  ///< may be c
  std::int64_t partial_stride = 0;
};

struct ProductTable {
  int tile_rows = 0, tile_cols = 0;
  void (*pack_left)(const Operand& from, std::int64_t first, std::int64_t extent, std::int64_t k,
                    std::int64_t depth, float* panels) = nullptr;
  void (*pack_right)(const Operand& from, std::int64_t first, std::int64_t extent, std::int64_t k,
                     std::int64_t depth, float* panels) = nullptr;
  void (*multiply_panels)(const PanelProduct& product) = nullptr;
};

namespace scalar {
extern const ProductTable product_table;
}
namespace avx2 {
extern const ProductTable product_table;
}
namespace avx512 {
extern const ProductTable product_table;
}

const ProductTable& product_table(Isa isa);

/// c[rows, cols], dense: per chain of the depth its product is stored (one chain only), or added in order.
/// chain_starts has chains + 1 ascending offsets into the depth.
struct Product {
  std::int64_t rows = 0, cols = 0;
  Operand left, right;
  std::int64_t chains = 0;
  const std::int64_t* chain_starts = nullptr;
  float* c = nullptr;
  bool adds = false;
  /// Bounds the packed copy of the left factor, in floats; decides no bit.
  std::int64_t packing_limit = std::int64_t{16} << 20;
};

void multiply(ThreadPool& pool, const ProductTable& table, const Product& product);

}  // namespace aftune::kernels
