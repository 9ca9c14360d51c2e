#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace aftune::tokenizer {

/// Bounds on what a file may have text replaced by, and how often over: without them a small text could grow
/// without end. Real files insert at most three bytes, once or twice.
inline constexpr std::size_t kMaxInsertion = 16;
inline constexpr std::size_t kMaxReplacing = 4;

/// What is done to a stretch of text before it is split into words: NFC, Prepend, Replace (of a plain
/// string), and Sequences of them.
class Normalizer {
 public:
  Normalizer() = default;
  /// `json` may be null. Throws Error{kEvidence} for any other kind.
  static Normalizer from_json(const Json& json);

  bool does_nothing() const { return steps_.empty(); }
  std::string apply(std::string_view text) const;

 private:
  struct Step {
    enum class Kind { kNfc, kPrepend, kReplace } kind = Kind::kNfc;
    std::string pattern;  ///< kReplace
    std::string content;  ///< kPrepend, kReplace
  };
  void add(const Json& json, int depth);
  static std::string apply(const Step& step, std::string text);

  std::vector<Step> steps_;
};

/// Every `pattern` in `text`, from the left, replaced. Requires a pattern that is not empty.
std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content);

/// The plain string of {"String": ...}. A regular expression there is refused. Throws Error{kEvidence}.
std::string plain_pattern(const Json& json);

}  // namespace aftune::tokenizer
