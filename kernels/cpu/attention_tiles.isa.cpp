#include "kernels/cpu/attention_tiles.h"

#include "kernels/cpu/pack.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {
namespace {

// The tile against all columns of a right factor whose panels hold panel_depth depths.
void multiply_columns(Tile& tile, const float* right, std::int64_t panel_depth, std::int64_t cols) {
  float* c = tile.c;
  for (std::int64_t j = 0; j < cols; j += kTileCols) {
    tile.cols = static_cast<int>(smaller(cols - j, kTileCols));
    tile.right = right + j * panel_depth;
    tile.c = tile.partial = c + j;
    multiply(tile);
  }
}

Tile tile_of(const Stretch& stretch, std::int64_t rows, std::int64_t stride) {
  Tile tile;
  tile.rows = static_cast<int>(smaller(rows, kTileRows));
  tile.stretches = &stretch;
  tile.stretch_count = 1;
  tile.c_stride = tile.partial_stride = stride;
  return tile;
}

}  // namespace

std::int64_t weights_stride(std::int64_t keys) {
  constexpr std::int64_t kLine = 16;
  const std::int64_t lines = (round_up(keys, kTileCols) + kTileRows + kLine - 1) / kLine;
  return (lines | 1) * kLine;
}

void multiply_visible(const Weights& weights, std::int64_t head_dim, const float* left, const float* right) {
  const AttentionPart& part = weights.part;
  const Stretch stretch{head_dim, true, true, false};
  for (std::int64_t query = part.first_query; query < part.last_query; query += kTileRows) {
    Tile tile = tile_of(stretch, part.last_query - query, weights.stride);
    tile.left = left + (query - part.first_query) * head_dim;
    tile.left_step = kTileRows;
    tile.c = weights.row(query);
    multiply_columns(tile, right, head_dim, round_up(weights.visible_to_tile(query), kTileCols));
  }
}

void sum_over_keys(const Weights& weights, std::int64_t head_dim, const float* rows, bool blocks, float* out,
                   std::int64_t out_stride, float* packed) {
  const AttentionPart& part = weights.part;
  for (std::int64_t query = part.first_query; query < part.last_query; query += kTileRows) {
    const std::int64_t keys = weights.visible_to_tile(query);
    for (std::int64_t key = 0; key < keys; key += kKeyBlock) {
      const std::int64_t count = smaller(keys - key, kKeyBlock);
      const Stretch stretch =
          blocks ? Stretch{count, true, true, key > 0} : Stretch{count, key == 0, key + count == keys, false};
      Tile tile = tile_of(stretch, part.last_query - query, out_stride);
      pack_left({weights.row(query), weights.stride, false}, 0, tile.rows, key, count, packed);
      tile.left = packed;
      tile.left_step = kTileRows;
      tile.c = out + (query - part.first_query) * out_stride;
      multiply_columns(tile, rows + key * kTileCols, part.last_key, head_dim);
    }
  }
}

void sum_over_queries(const Weights& weights, std::int64_t head_dim, const float* rows, float* out,
                      std::int64_t out_stride) {
  const AttentionPart& part = weights.part;
  const std::int64_t queries = part.last_query - part.first_query;
  const std::int64_t last_key = part.causal ? smaller(part.last_key, part.last_query) : part.last_key;
  for (std::int64_t key = part.first_key; key < last_key; key += kTileRows) {
    // The first that sees a key of the tile.
    const std::int64_t query = part.causal ? larger(part.first_query, key) : part.first_query;
    const Stretch stretch{part.last_query - query, false, false, false};
    Tile tile = tile_of(stretch, last_key - key, out_stride);
    tile.left = weights.row(query) + (key - part.first_key);
    tile.left_step = weights.stride;
    tile.c = out + (key - part.first_key) * out_stride;
    multiply_columns(tile, rows + (query - part.first_query) * kTileCols, queries, head_dim);
  }
}

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
