#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "tokenizer/split.h"

namespace aftune::tokenizer {

/// How normalised text is cut into the words inside which merges happen: not at all (null); ByteLevel; a
/// Split by a known pattern, then ByteLevel; or Metaspace.
class PreTokenizer {
 public:
  PreTokenizer() = default;
  /// Throws Error{kEvidence} for any other arrangement, and for a pattern that is not one of split.h's.
  static PreTokenizer from_json(const Json& json);

  /// True if words are given to the model as bytes written in the byte alphabet.
  bool byte_level() const { return byte_level_; }
  /// The text with what goes in front of it, white space marked. `first`: nothing of the input precedes it.
  std::string prepare(std::string_view text, bool first) const;
  /// The end of the word at `at` of prepared text. Requires at < text.size().
  std::size_t word_end(std::string_view text, std::size_t at) const;

 private:
  enum class Prefix { kNever, kFirst, kAlways };
  void read_sequence(const Json& list);
  void read_split(const Json& json);
  void read_byte_level(const Json& json);
  void read_metaspace(const Json& json);

  bool byte_level_ = false;
  std::optional<Pattern> pattern_;
  std::string space_ = " ";  // what a space is written as, and what may be put in front
  Prefix prefix_ = Prefix::kNever;
  bool split_at_space_ = false;
};

}  // namespace aftune::tokenizer
