#pragma once

#include <cstdint>
#include <span>

namespace aftune::tokenizer {

/// Classes of a code point, as bits.
enum CharClass : std::uint8_t {
  kLetter = 1,  ///< \p{L}
  kNumber = 2,  ///< \p{N}
  kSpace = 4,   ///< \s: White_Space
  kWord = 8,    ///< \w: what a single_word added token must not touch
};

/// From `first` on, up to the next entry's, code points have these classes. Sorted; the first entry is
/// U+0000.
struct ClassChange {
  std::uint32_t first;
  std::uint8_t classes;
};

/// Code points with a canonical combining class other than 0. Sorted.
struct CombiningRange {
  std::uint32_t first;
  std::uint32_t last;
  std::uint8_t combining;
};

/// One step of canonical decomposition; `second` is 0 if there is only one code point. Sorted by `composed`.
struct Decomposition {
  std::uint32_t composed;
  std::uint32_t first;
  std::uint32_t second;
};

/// A pair that NFC composes. Sorted by (first, second).
struct Composition {
  std::uint32_t first;
  std::uint32_t second;
  std::uint32_t composed;
};

extern const std::span<const ClassChange> kClassChanges;
extern const std::span<const CombiningRange> kCombiningRanges;
extern const std::span<const Decomposition> kDecompositions;
extern const std::span<const Composition> kCompositions;

}  // namespace aftune::tokenizer
