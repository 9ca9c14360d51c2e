#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "tokenizer/vocabulary.h"

namespace aftune::tokenizer {

class Normalizer;

/// A token that is found in the text before anything else is done with it.
struct AddedToken {
  std::int32_t id = -1;
  std::string content;
  std::string searched;      ///< what is looked for, and decoded to: the content, normalised if `normalized`
  bool single_word = false;  ///< not inside a word
  bool lstrip = false;       ///< swallows white space on its left
  bool rstrip = false;       ///< and on its right
  bool normalized = false;   ///< is searched for in the normalised text
  bool special = false;      ///< left out by decode(skip_specials)
};

/// A stretch of text, or the added token that was found there (id >= 0).
struct Segment {
  std::string_view text;
  std::int32_t id = -1;
};

/// Searches one set of added tokens: the leftmost, and of those the longest.
class AddedTokenSearch {
 public:
  AddedTokenSearch();
  /// If a token that is searched for by the same text is there already, the earlier one stays.
  void add(const AddedToken& token);
  std::vector<Segment> split(std::string_view text) const;

 private:
  struct Node {
    std::map<unsigned char, std::uint32_t> children;
    std::int32_t token = -1;  // index in tokens_
  };
  struct Match {
    const AddedToken* token = nullptr;
    std::size_t end = 0;
  };
  Match longest_at(std::string_view text, std::size_t at) const;

  std::vector<Node> nodes_;
  std::array<bool, 256> first_bytes_{};
  std::vector<AddedToken> tokens_;
};

/// All added tokens of a file.
class AddedTokens {
 public:
  AddedTokens() = default;
  /// Throws Error{kEvidence} for an id that Hugging Face's loader, which numbers them itself, would not give.
  static AddedTokens from_json(const Json& list, const Vocabulary& vocabulary, const Normalizer& normalizer);

  const AddedTokenSearch& in_raw_text() const { return raw_; }
  const AddedTokenSearch& in_normalized_text() const { return normalized_; }
  /// Null if there is none.
  const AddedToken* by_id(std::int32_t id) const;
  const AddedToken* by_content(std::string_view content) const;
  std::int32_t end_id() const { return by_id_.empty() ? 0 : by_id_.rbegin()->first + 1; }

 private:
  void add(AddedToken token, const Vocabulary& vocabulary);

  std::map<std::int32_t, AddedToken> by_id_;
  std::map<std::string, std::int32_t, std::less<>> ids_;
  AddedTokenSearch raw_;
  AddedTokenSearch normalized_;
};

}  // namespace aftune::tokenizer
