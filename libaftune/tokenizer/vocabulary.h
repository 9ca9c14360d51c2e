#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace aftune::tokenizer {

/// Ids of this size and more are refused: no model has them, and tables are as long as the largest id.
inline constexpr std::int64_t kMaxTokens = std::int64_t{1} << 22;

/// The model's own tokens: text to id and back.
class Vocabulary {
 public:
  Vocabulary() = default;
  /// `vocab` maps text to id. Throws Error{kEvidence} on an id that is not an integer, out of range or used
  /// twice.
  static Vocabulary from_json(const Json& vocab);

  /// -1 if there is no such token.
  std::int32_t id_of(std::string_view token) const;
  /// Null if there is no such id.
  const std::string* token(std::int32_t id) const;
  /// One more than the largest id.
  std::int32_t end_id() const { return static_cast<std::int32_t>(tokens_.size()); }
  /// How many tokens there are: less than end_id() if ids have gaps.
  std::size_t count() const { return sorted_.size(); }

 private:
  // The first eight bytes of a token beside its id, so that a search seldom has to look at the token itself.
  struct Entry {
    std::uint64_t head;
    std::int32_t id;
  };
  std::vector<std::string> tokens_;  // by id; unused ids are empty
  std::vector<Entry> sorted_;        // by text
};

}  // namespace aftune::tokenizer
