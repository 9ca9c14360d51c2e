#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace aftune::data {

/// Label of a position that predicts nothing.
inline constexpr std::int32_t kNoLabel = -1;

/// A run of rows of one step, ragged: only real positions, concatenated. What every stage is given.
/// A *document* is one data row's tokens, or an image's positions, the extent of attention; a *row* is what
/// gradients are summed by: one document without packing, several with it (engine rules: docs/numerics.md,
/// "Sums").
struct Rows {
  std::vector<std::int32_t> tokens;      ///< [n] ids; empty in cells that never see them
  std::vector<float> pixels;             ///< of images in the place of tokens: [documents, pixels]
  std::vector<std::int32_t> labels;      ///< [n] id that position i predicts, or kNoLabel; empty likewise
  std::vector<std::int32_t> positions;   ///< [n] position inside the document
  std::vector<std::int64_t> doc_starts;  ///< [documents + 1] offsets into tokens
  std::vector<std::int64_t> row_starts;  ///< [rows + 1] offsets into tokens
  std::int64_t first_row = 0;            ///< index in the step of the first row here

  std::int64_t size() const { return row_starts.empty() ? 0 : row_starts.back(); }
  std::int64_t rows() const { return static_cast<std::int64_t>(row_starts.size()) - 1; }
  /// Rows [begin, end) of these, as a micro-batch. Tokens and labels are cut too where present.
  Rows slice(std::int64_t begin, std::int64_t end) const;

 private:
  std::vector<float> cut_pixels(std::int64_t from, std::int64_t to) const;
};

/// The committed layout: for each row its document count, then their lengths. rows_from_layout refuses
/// (Error{kEvidence}) non-positive counts and lengths, and more than max_tokens in all.
std::vector<std::int32_t> layout_of(const Rows& rows);
Rows rows_from_layout(const std::vector<std::int32_t>& layout, std::int64_t max_tokens);

/// BLAKE3 of the little-endian bytes.
Digest ints_digest(const std::vector<std::int32_t>& values);
/// The same of what the first stage takes: tokens or pixels.
Digest input_digest(const Rows& rows);

}  // namespace aftune::data
