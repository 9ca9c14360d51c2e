#include "kernels/cpu/products.h"

#include "kernels/cpu/pack.h"
#include "kernels/cpu/register_tile.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

// A panel of the left factor stays in the first-level cache while the panels of the right one, which fill
// about half of the second level, pass by.
void multiply_panels(const PanelProduct& product) {
  Tile tile;
  tile.left_step = kTileRows;
  tile.stretches = product.stretches;
  tile.stretch_count = product.stretch_count;
  tile.c_stride = product.c_stride;
  tile.partial_stride = product.partial_stride;
  for (std::int64_t i = 0; i < product.rows; i += kTileRows) {
    tile.rows = static_cast<int>(product.rows - i < kTileRows ? product.rows - i : kTileRows);
    tile.left = product.left + i * product.depth;
    for (std::int64_t j = 0; j < product.cols; j += kTileCols) {
      tile.cols = static_cast<int>(product.cols - j < kTileCols ? product.cols - j : kTileCols);
      tile.right = product.right + j * product.depth;
      tile.c = product.c + i * product.c_stride + j;
      tile.partial = product.partial + i * product.partial_stride + j;
      multiply(tile);
    }
  }
}

}  // namespace

const ProductTable product_table = {kTileRows, kTileCols, pack_left, pack_right, multiply_panels};

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
