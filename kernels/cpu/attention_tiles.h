#pragma once

// Products over the pairs of attention, all or those of the causal triangle, in register tiles. Included by
// *.isa.cpp files only.

#include <cstdint>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/register_tile.h"

namespace aftune::kernels::AFTUNE_ISA_NAMESPACE {

/// Queries that are taken at once: their scores of a few hundred keys stay in the second-level cache.
inline constexpr std::int64_t kQueryBlock = 96 / kTileRows * kTileRows;
/// The value sum is a chain inside blocks of so many keys (docs/numerics.md); other chains are cut here too.
inline constexpr std::int64_t kKeyBlock = 512;

AFTUNE_OP std::int64_t smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}
AFTUNE_OP std::int64_t larger(std::int64_t a, std::int64_t b) {
  return a < b ? b : a;
}
AFTUNE_OP std::int64_t round_up(std::int64_t n, std::int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

/// Hands out pieces of scratch memory; from a null start it only counts.
class Scratchpad {
 public:
  explicit Scratchpad(float* start) : start_(start) {}
  float* take(std::int64_t floats) {
    float* piece = start_ == nullptr ? nullptr : start_ + taken_;
    taken_ += round_up(floats, 16);
    return piece;
  }
  std::int64_t taken() const { return taken_; }

 private:
  float* start_;
  std::int64_t taken_ = 0;
};

/// A matrix of a number per query (row) and key (column) of a part.
struct Weights {
  AttentionPart part;
  float* data = nullptr;
  std::int64_t stride = 0;

  float* row(std::int64_t query) const { return data + (query - part.first_query) * stride; }
  /// How many of the part's keys the query sees.
  std::int64_t visible(std::int64_t query) const {
    return (part.causal ? smaller(query + 1, part.last_key) : part.last_key) - part.first_key;
  }
  /// How many of them any query of the row tile that starts at `query` sees.
  std::int64_t visible_to_tile(std::int64_t query) const {
    return visible(smaller(query + kTileRows, part.last_query) - 1);
  }
  /// Columns that may be read in rows of that tile: they must be numbers, and zeros where they are not
  /// visible.
  std::int64_t width(std::int64_t query) const {
    return round_up(visible_to_tile(query), kTileCols) + kTileRows;
  }
};

/// A row stride for so many keys; odd in cache lines, so that rows do not fall into the same cache sets.
std::int64_t weights_stride(std::int64_t keys);

/// weights(query, key) = chain over d of left x right, in all tiles of which some pair is visible. `left`
/// holds the part's queries, packed as left factor, `right` its keys, packed as right factor.
void multiply_visible(const Weights& weights, std::int64_t head_dim, const float* left, const float* right);

/// Per query the sum over its keys, ascending, of weight x row, rows[key, head_dim] being packed as right
/// factor with depth last_key. One chain, or, if `blocks`, a chain per kKeyBlock keys whose results are added
/// in order. `out` stands at the part's first query; `packed` holds kTileRows * kKeyBlock floats.
void sum_over_keys(const Weights& weights, std::int64_t head_dim, const float* rows, bool blocks, float* out,
                   std::int64_t out_stride, float* packed);

/// Continues per key the chain over queries of weight x row, rows[query, head_dim] being packed as right
/// factor. `out` stands at the part's first key.
void sum_over_queries(const Weights& weights, std::int64_t head_dim, const float* rows, float* out,
                      std::int64_t out_stride);

}  // namespace aftune::kernels::AFTUNE_ISA_NAMESPACE
