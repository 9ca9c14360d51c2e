#pragma once

// Copies of factors in the order in which register tiles read them. Included by *.isa.cpp files only.

#include <cstdint>

#include "kernels/cpu/operand.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// Packs indices [first, first + extent) and depths [k, k + depth) of a factor into panels of kTileRows
/// (left) or kTileCols (right) indices, the last one filled up with zeros. A panel holds, depth by depth, its
/// indices.
void pack_left(const Operand& from, std::int64_t first, std::int64_t extent, std::int64_t k,
               std::int64_t depth, float* panels);
void pack_right(const Operand& from, std::int64_t first, std::int64_t extent, std::int64_t k,
                std::int64_t depth, float* panels);

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
