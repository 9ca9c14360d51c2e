#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "tokenizer/merges.h"
#include "tokenizer/vocabulary.h"

namespace aftune::tokenizer {

/// The BPE model: words to ids.
class Bpe {
 public:
  Bpe() = default;
  /// `byte_level`: words come as raw bytes and the vocabulary writes them in the byte alphabet. Throws
  /// Error{kEvidence}, also where some text could have no tokens at all.
  static Bpe from_json(const Json& model, bool byte_level);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  /// Appends the ids of one word of well-formed UTF-8.
  void encode(std::string_view word, std::vector<std::int32_t>& out) const;

 private:
  void read_bytes();
  void check_every_text_has_tokens() const;
  std::int32_t whole_word(std::string_view word) const;
  std::vector<std::int32_t> symbols_of(std::string_view word) const;
  bool append_fallback(std::string_view character, std::vector<std::int32_t>& out) const;

  Vocabulary vocabulary_;
  Merges merges_;
  bool byte_level_ = false;
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;
  bool byte_fallback_ = false;
  std::int32_t unknown_ = -1;
  std::array<std::int32_t, 256> bytes_{};  // ids of single bytes: of the byte alphabet, or <0x00> ... <0xFF>
};

}  // namespace aftune::tokenizer
