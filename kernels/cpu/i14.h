#pragma once

// The per-ISA half of the products of profile i14, and how a quantised factor lies in memory.
//
// A packed group is a panel of tile_rows (left) or tile_cols (right) indices: for each pair of depths a word
// for each index, the lower depth in the lower half; after the pairs the indices' scales, as the bits of a
// float. A group of odd length ends with a zero.

#include <cstdint>

#include "base/cpu.h"
#include "kernels/cpu/operand.h"
#include "kernels/i14.h"

namespace aftune::kernels {

/// Consecutive depths of one chain that share a scale for each index.
struct DepthGroup {
  std::int64_t start = 0, length = 0;
  bool begins = true;  ///< the chain starts here, at +0
  bool ends = true;    ///< the chain is complete after this

  // Inlined in any case, since code of one instruction set calls them too.
  __attribute__((always_inline)) std::int64_t pairs() const { return (length + 1) / 2; }
  /// Of an index.
  __attribute__((always_inline)) std::int64_t words() const { return pairs() + 1; }
  bool operator==(const DepthGroup&) const = default;
};

struct I14Quantiser {
  int tile_rows = 0, tile_cols = 0;
  /// Quantises the first `length` depths of `from` for its first `indices` indices, as one group, into the
  /// panels at `panels`, which lie `panel_stride` words apart. Of a last, partial panel the rest is zero.
  void (*quantise)(Side side, const Operand& from, std::int64_t indices, std::int64_t length, int group,
                   std::uint32_t* panels, std::int64_t panel_stride) = nullptr;
};

/// Packed panels of `rows` x `cols` of C over one block of depth.
struct I14PanelProduct {
  std::int64_t rows = 0, cols = 0;
  std::int64_t words = 0;  ///< of an index, in the block
  const std::uint32_t* left = nullptr;
  const std::uint32_t* right = nullptr;
  const DepthGroup* groups = nullptr;
  std::int64_t group_count = 0;
  bool adds = false;
  float* c = nullptr;
  std::int64_t c_stride = 0;
  float* partial = nullptr;  ///< where a chain waits between blocks; may be c
  std::int64_t partial_stride = 0;
};

using I14Multiply = void (*)(const I14PanelProduct& product);

/// What one instruction set makes of both factors and the product. Factors are multiplied by the table that
/// packed them.
struct I14Table {
  const I14Quantiser* quantiser = nullptr;
  I14Multiply multiply_panels = nullptr;
};

const I14Table& i14_table(Isa isa);

namespace scalar {
extern const I14Quantiser i14_quantiser;
void multiply_i14_panels(const I14PanelProduct& product);
}  // namespace scalar
namespace avx2 {
extern const I14Quantiser i14_quantiser;
void multiply_i14_panels(const I14PanelProduct& product);
}  // namespace avx2
namespace avx512 {
extern const I14Quantiser i14_quantiser;
void multiply_i14_panels(const I14PanelProduct& product);
}  // namespace avx512
namespace avx512vnni {
void multiply_i14_panels(const I14PanelProduct& product);
}

}  // namespace aftune::kernels
