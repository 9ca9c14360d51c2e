#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace aftune::tokenizer {

class Decoder;

/// A Hugging Face tokenizer.json of model type BPE, byte-level (GPT-2, Llama-3, Qwen) or SentencePiece-style
/// with byte fallback. Anything it does not know for sure is refused at load with one clear line
/// (docs/tokenizer.md). "truncation" and "padding" in the file are not used: they are left there by whoever
/// saved it, and a row is cut by the recipe alone. All methods may be called from several threads at once.
class Tokenizer {
 public:
  /// Throws Error{kUsage} if the file is absent, Error{kEvidence} with the field's name if it cannot be used.
  static Tokenizer read(const fs::path& tokenizer_json);
  static Tokenizer parse(std::string_view json);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Ids of `text`; added tokens are matched as Hugging Face does. With `specials`, the post-processor's
  /// special tokens (BOS where the model has one) are put around it. Invalid UTF-8 becomes U+FFFD first, as
  /// Python would.
  std::vector<std::int32_t> encode(std::string_view text, bool specials) const;
  /// Text of ids, as Hugging Face's decode(skip_special_tokens=skip_specials). Unknown ids are left out.
  std::string decode(const std::vector<std::int32_t>& ids, bool skip_specials) const;
  /// The token that decode() hands to its decoder for `id`; null for an id that it leaves out.
  const std::string* decoded_token(std::int32_t id, bool skip_specials) const;
  /// The bytes that the token stands for in the midst of a text; "" for an unknown id.
  std::string bytes_of(std::int32_t id) const;
  const Decoder& decoder() const;
  /// One more than the largest id, added tokens included.
  std::int32_t size() const;
  /// Id of a token by its content, -1 if there is none.
  std::int32_t id_of(std::string_view token) const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace aftune::tokenizer
