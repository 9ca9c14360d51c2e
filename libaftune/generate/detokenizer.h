#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tokenizer/decode_stream.h"
#include "tokenizer/tokenizer.h"

namespace aftune::generate {

/// Ids of the prompt that an answer's text is decoded after: what a token decodes to may depend on whether it
/// is the first (a space that SentencePiece drops) and on an unfinished character before it.
inline constexpr std::size_t kContextTokens = 8;

/// The text of an answer. With c = the last kContextTokens ids of the prompt and o = the answer's ids, it is
/// what is left of decode(c + o) after its longest common prefix, of whole code points, with decode(c), both
/// without special tokens (docs/numerics.md, "Inference and sampling"). A token costs the same however many
/// there are.
class Detokenizer {
 public:
  /// Keeps a reference to the tokenizer.
  Detokenizer(const tokenizer::Tokenizer& tokenizer, std::span<const std::int32_t> prompt);
  void add(std::int32_t token);
  /// settled() + open().
  std::string text() const;
  /// The front of the text that no later token can change; never half a code point. Valid until add().
  std::string_view settled() const;
  /// What follows it if no other token comes.
  std::string open() const;

 private:
  // Code points at the start of `decoded` that the context has too, in bytes.
  std::size_t shared(std::string_view decoded) const;

  const tokenizer::Tokenizer& tokenizer_;
  tokenizer::DecodeStream stream_;
  std::string context_;  // decode(c)
};

}  // namespace aftune::generate
