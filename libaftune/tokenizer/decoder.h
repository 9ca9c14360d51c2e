#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace aftune::tokenizer {

/// How tokens become text again: ByteLevel, Metaspace, or a Sequence of Replace, ByteFallback, Fuse and
/// Strip.
class Decoder {
 public:
  Decoder() = default;
  /// A null `json` joins tokens with spaces. Throws Error{kEvidence} for any other kind.
  static Decoder from_json(const Json& json);

  std::string decode(std::vector<std::string> tokens) const;
  /// The bytes that a token stands for in the midst of a text; they need not be UTF-8.
  std::string bytes_of(std::string token) const;

 private:
  friend class DecodeStream;
  struct Step {
    enum class Kind { kByteLevel, kMetaspace, kReplace, kByteFallback, kFuse, kStrip } kind;
    std::string pattern = {};  ///< kReplace, kStrip, kMetaspace: what is looked for
    std::string content = {};  ///< kReplace: what it becomes
    std::int64_t start = 0;  ///< kStrip: at most so many at the start of each token; kMetaspace: of the first
    std::int64_t stop = 0;   ///< kStrip: at the end
  };
  void add(const Json& json, bool inside_sequence);
  static Step read_step(const std::string& type, Fields& fields);
  static void apply(const Step& step, std::vector<std::string>& tokens);
  static bool is_fallback_byte(const std::string& token);

  std::vector<Step> steps_;
};

}  // namespace aftune::tokenizer
