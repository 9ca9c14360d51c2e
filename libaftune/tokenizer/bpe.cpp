#include "tokenizer/bpe.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/printable.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/utf8.h"

namespace aftune::tokenizer {
namespace {

// A member that may be absent or null.
bool is_given(const Fields& fields, const Json& object, std::string_view key) {
  return fields.has(key) && !object.find(key)->is_null();
}

void refuse_affix(Fields& fields, const Json& model, std::string_view key) {
  if (is_given(fields, model, key) && !fields.text(key).empty())
    fail(Fault::kEvidence, "model: \"", key, "\" is not supported");
  if (fields.has(key)) fields.at(key);
}

void refuse_dropout(Fields& fields) {
  if (!fields.has("dropout")) return;
  const Json& dropout = fields.at("dropout");
  if (!dropout.is_null() && !(dropout.is_number() && dropout.get<double>() == 0.0))
    fail(Fault::kEvidence, "model: \"dropout\" makes tokens random and is not supported");
}

bool flag(Fields& fields, std::string_view key) {
  return fields.has(key) && fields.boolean(key);
}

std::string fallback_token(unsigned byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

}  // namespace

Bpe Bpe::from_json(const Json& model, bool byte_level) {
  Fields fields(model, "model");
  if (fields.has("type") && fields.text("type") != "BPE")
    fail(Fault::kEvidence, "model: type \"", printable(fields.text("type")), "\" is not supported");
  Bpe out;
  out.byte_level_ = byte_level;
  refuse_dropout(fields);
  refuse_affix(fields, model, "continuing_subword_prefix");
  refuse_affix(fields, model, "end_of_word_suffix");
  out.fuse_unknown_ = flag(fields, "fuse_unk");
  out.byte_fallback_ = flag(fields, "byte_fallback");
  out.ignore_merges_ = flag(fields, "ignore_merges");
  out.vocabulary_ = within("model", [&] { return Vocabulary::from_json(fields.at("vocab")); });
  out.merges_ = within("model", [&] { return Merges::from_json(fields.at("merges"), out.vocabulary_); });
  if (is_given(fields, model, "unk_token")) {
    out.unknown_ = out.vocabulary_.id_of(fields.text("unk_token"));
    if (out.unknown_ < 0) fail(Fault::kEvidence, "model: \"unk_token\" is not in the vocabulary");
  } else if (fields.has("unk_token")) {
    fields.at("unk_token");
  }
  fields.done();
  out.read_bytes();
  out.check_every_text_has_tokens();
  return out;
}

void Bpe::read_bytes() {
  for (unsigned byte = 0; byte < 256; ++byte)
    bytes_[byte] = vocabulary_.id_of(byte_level_ ? byte_alphabet()[byte] : fallback_token(byte));
}

// Hugging Face drops characters that have no token, no fallback and no unk_token; training on silently
// shortened text is never what is wanted.
void Bpe::check_every_text_has_tokens() const {
  const auto missing = std::ranges::find(bytes_, -1);
  if (byte_level_ && missing != bytes_.end())
    fail(Fault::kEvidence, "model: byte ", missing - bytes_.begin(), " has no token");
  if (!byte_level_ && unknown_ < 0 && (!byte_fallback_ || missing != bytes_.end()))
    fail(Fault::kEvidence, "model: neither \"unk_token\" nor \"byte_fallback\" covers unknown characters");
}

std::int32_t Bpe::whole_word(std::string_view word) const {
  if (!byte_level_) return vocabulary_.id_of(word);
  std::string written;
  for (const char c : word) written += byte_alphabet()[static_cast<unsigned char>(c)];
  return vocabulary_.id_of(written);
}

bool Bpe::append_fallback(std::string_view character, std::vector<std::int32_t>& out) const {
  if (!byte_fallback_) return false;
  const auto id = [this](char c) { return bytes_[static_cast<unsigned char>(c)]; };
  if (std::ranges::any_of(character, [&](char c) { return id(c) < 0; })) return false;
  for (const char c : character) out.push_back(id(c));
  return true;
}

std::vector<std::int32_t> Bpe::symbols_of(std::string_view word) const {
  std::vector<std::int32_t> out;
  if (byte_level_) {
    for (const char c : word) out.push_back(bytes_[static_cast<unsigned char>(c)]);
    return out;
  }
  // An unknown character is held back until the next known one, also past byte tokens: as Hugging Face does.
  bool held = false;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t start = at;
    next_code_point(word, at);
    const std::string_view character = word.substr(start, at - start);
    const std::int32_t id = vocabulary_.id_of(character);
    if (id < 0 && append_fallback(character, out)) continue;
    if (held && (id >= 0 || !fuse_unknown_)) out.push_back(unknown_);
    held = id < 0;
    if (id >= 0) out.push_back(id);
  }
  if (held) out.push_back(unknown_);
  return out;
}

void Bpe::encode(std::string_view word, std::vector<std::int32_t>& out) const {
  if (ignore_merges_) {
    if (const std::int32_t id = whole_word(word); id >= 0) {
      out.push_back(id);
      return;
    }
  }
  std::vector<std::int32_t> symbols = symbols_of(word);
  merges_.apply(symbols);
  out.insert(out.end(), symbols.begin(), symbols.end());
}

}  // namespace aftune::tokenizer
