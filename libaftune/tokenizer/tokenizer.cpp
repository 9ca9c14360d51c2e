#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/json.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/bpe.h"
#include "tokenizer/decoder.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/postprocessor.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/utf8.h"

namespace aftune::tokenizer {
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{64} << 20;
// Two of a token and three of a merge: twice those of the largest vocabulary in use, of 262,144.
constexpr std::size_t kMaxValues = std::size_t{1} << 22;
// Places in a text are kept as 32-bit numbers.
constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

const Json& optional_field(Fields& fields, std::string_view key) {
  static const Json null;
  return fields.has(key) ? fields.at(key) : null;
}

}  // namespace

struct Tokenizer::Impl {
  Normalizer normalizer;
  PreTokenizer pretokenizer;
  Bpe model;
  AddedTokens added;
  PostProcessor specials;
  Decoder decoder;

  explicit Impl(const Json& json);
  void check_specials() const;
  const std::string* token(std::int32_t id) const;
  void encode_normalized(std::string_view text, bool first, std::vector<std::int32_t>& out) const;
  void encode_words(std::string_view text, bool first, std::vector<std::int32_t>& out) const;
};

Tokenizer::Impl::Impl(const Json& json) {
  Fields fields(json, "tokenizer");
  if (fields.has("version") && fields.text("version") != "1.0")
    fail(Fault::kEvidence, "tokenizer: \"version\" is not 1.0");
  // Settings of whoever saved the file; a row is cut by the recipe alone and never padded.
  optional_field(fields, "truncation");
  optional_field(fields, "padding");
  normalizer = Normalizer::from_json(optional_field(fields, "normalizer"));
  pretokenizer = PreTokenizer::from_json(optional_field(fields, "pre_tokenizer"));
  specials = PostProcessor::from_json(optional_field(fields, "post_processor"));
  decoder = Decoder::from_json(optional_field(fields, "decoder"));
  model = Bpe::from_json(fields.object("model"), pretokenizer.byte_level());
  if (fields.has("added_tokens"))
    added = within("added_tokens", [&] {
      return AddedTokens::from_json(fields.array("added_tokens"), model.vocabulary(), normalizer);
    });
  fields.done();
  check_specials();
}

void Tokenizer::Impl::check_specials() const {
  for (const auto* ids : {&specials.before, &specials.after})
    for (const std::int32_t id : *ids)
      if (token(id) == nullptr) fail(Fault::kEvidence, "post_processor: token ", id, " does not exist");
}

const std::string* Tokenizer::Impl::token(std::int32_t id) const {
  const AddedToken* token = added.by_id(id);
  return token != nullptr ? &token->searched : model.vocabulary().token(id);
}

void Tokenizer::Impl::encode_words(std::string_view text, bool first, std::vector<std::int32_t>& out) const {
  const std::string prepared = pretokenizer.prepare(text, first);
  for (std::size_t at = 0; at < prepared.size();) {
    const std::size_t end = pretokenizer.word_end(prepared, at);
    model.encode(std::string_view(prepared).substr(at, end - at), out);
    at = end;
  }
}

void Tokenizer::Impl::encode_normalized(std::string_view text, bool first,
                                        std::vector<std::int32_t>& out) const {
  for (const Segment& segment : added.in_normalized_text().split(text)) {
    if (segment.id >= 0)
      out.push_back(segment.id);
    else
      encode_words(segment.text, first, out);
    first = false;
  }
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::read(const fs::path& tokenizer_json) {
  const std::string text = read_file(tokenizer_json, kMaxFileBytes);
  return within(tokenizer_json.native(), [&] { return parse(text); });
}

Tokenizer Tokenizer::parse(std::string_view json) {
  return Tokenizer(std::make_unique<const Impl>(
      parse_json(json, {.max_bytes = kMaxFileBytes, .max_depth = 16, .max_values = kMaxValues})));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool specials) const {
  if (text.size() > kMaxTextBytes)
    fail(Fault::kUsage, "a text of ", text.size(), " bytes is longer than a tokenizer takes");
  std::string repaired;
  if (!is_utf8(text)) text = repaired = replace_invalid(text);
  std::vector<std::int32_t> out;
  if (specials) out = impl_->specials.before;
  bool first = true;
  for (const Segment& segment : impl_->added.in_raw_text().split(text)) {
    if (segment.id >= 0)
      out.push_back(segment.id);
    else
      impl_->encode_normalized(impl_->normalizer.apply(segment.text), first, out);
    first = false;
  }
  if (specials) out.insert(out.end(), impl_->specials.after.begin(), impl_->specials.after.end());
  return out;
}

std::string Tokenizer::decode(const std::vector<std::int32_t>& ids, bool skip_specials) const {
  std::vector<std::string> tokens;
  for (const std::int32_t id : ids)
    if (const std::string* token = decoded_token(id, skip_specials)) tokens.push_back(*token);
  return impl_->decoder.decode(std::move(tokens));
}

const std::string* Tokenizer::decoded_token(std::int32_t id, bool skip_specials) const {
  const std::string* token = impl_->token(id);
  if (token == nullptr) return nullptr;
  // Looked up by the text, as Hugging Face does: a special token that normalising changes is not left out.
  const AddedToken* added = impl_->added.by_content(*token);
  return skip_specials && added != nullptr && added->special ? nullptr : token;
}

std::string Tokenizer::bytes_of(std::int32_t id) const {
  const std::string* token = decoded_token(id, false);
  return token == nullptr ? "" : impl_->decoder.bytes_of(*token);
}

const Decoder& Tokenizer::decoder() const {
  return impl_->decoder;
}

std::int32_t Tokenizer::size() const {
  return std::max(impl_->model.vocabulary().end_id(), impl_->added.end_id());
}

std::int32_t Tokenizer::id_of(std::string_view token) const {
  const AddedToken* added = impl_->added.by_content(token);
  return added != nullptr ? added->id : impl_->model.vocabulary().id_of(token);
}

}  // namespace aftune::tokenizer
