#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tokenizer/vocabulary.h"

namespace aftune::tokenizer {

/// The merges of a BPE model, by rank: the earlier one stands in the file, the earlier it is done.
class Merges {
 public:
  Merges() = default;
  /// A list of "left right" or ["left", "right"]. Throws Error{kEvidence} if a part or the whole of a merge
  /// is not in the vocabulary. A pair that stands twice keeps its later rank, as in Hugging Face's loader.
  static Merges from_json(const Json& merges, const Vocabulary& vocabulary);

  /// Merges adjacent symbols in place, the lowest rank first and the leftmost on ties, until none is left.
  void apply(std::vector<std::int32_t>& symbols) const;

  /// The two ways in which apply() does it; they give the same result. The first is quick for a few symbols,
  /// the second takes n log n steps for n symbols.
  void apply_by_scanning(std::vector<std::int32_t>& symbols) const;
  void apply_by_queue(std::vector<std::int32_t>& symbols) const;

  struct Merge {
    std::int32_t left = 0;
    std::int32_t right = 0;
    std::int32_t merged = 0;
    std::uint32_t rank = 0;
  };
  /// Null if the pair has no merge.
  const Merge* find(std::int32_t left, std::int32_t right) const;

 private:
  explicit Merges(std::vector<Merge> merges, std::int32_t end_id);
  std::vector<Merge> sorted_;          // by (left, right)
  std::vector<std::uint32_t> starts_;  // by left id: where its merges begin in sorted_
};

}  // namespace aftune::tokenizer
