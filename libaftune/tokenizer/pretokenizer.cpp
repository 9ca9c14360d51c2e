#include "tokenizer/pretokenizer.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"
#include "tokenizer/normalizer.h"

namespace aftune::tokenizer {
namespace {

[[noreturn]] void unsupported(std::string_view what) {
  fail(Fault::kEvidence, "pre_tokenizer: ", what, " is not supported");
}

std::string type_of(const Json& json) {
  return Fields(json, "pre_tokenizer").text("type");
}

}  // namespace

PreTokenizer PreTokenizer::from_json(const Json& json) {
  PreTokenizer out;
  if (json.is_null()) return out;
  const std::string type = type_of(json);
  if (type == "ByteLevel") {
    out.read_byte_level(json);
  } else if (type == "Metaspace") {
    out.read_metaspace(json);
  } else if (type == "Sequence") {
    Fields fields(json, "pre_tokenizer");
    fields.text("type");
    out.read_sequence(fields.array("pretokenizers"));
    fields.done();
  } else {
    unsupported(cat("type \"", printable(type), '"'));
  }
  return out;
}

void PreTokenizer::read_sequence(const Json& list) {
  const bool known = list.size() == 2 && type_of(list[0]) == "Split" && type_of(list[1]) == "ByteLevel";
  if (!known) unsupported("a Sequence other than [Split, ByteLevel]");
  read_byte_level(list[1]);
  if (pattern_) unsupported("a Split before a ByteLevel with \"use_regex\"");
  if (prefix_ != Prefix::kNever) unsupported("a Split before a ByteLevel with \"add_prefix_space\"");
  read_split(list[0]);
}

void PreTokenizer::read_split(const Json& json) {
  Fields fields(json, "pre_tokenizer: Split");
  fields.text("type");
  Fields pattern(fields.object("pattern"), "pre_tokenizer: Split: pattern");
  pattern_ = pattern_of(pattern.text("Regex"));
  pattern.done();
  if (!pattern_) unsupported("a Split by a pattern other than Llama-3's, Qwen's and GPT-2's");
  if (fields.text("behavior") != "Isolated") unsupported("a Split whose behavior is not Isolated");
  if (fields.boolean("invert")) unsupported("an inverted Split");
  fields.done();
}

void PreTokenizer::read_byte_level(const Json& json) {
  Fields fields(json, "pre_tokenizer: ByteLevel");
  fields.text("type");
  byte_level_ = true;
  if (fields.boolean("add_prefix_space")) prefix_ = Prefix::kAlways;
  fields.boolean("trim_offsets");  // concerns offsets, which are not computed here
  if (!fields.has("use_regex") || fields.boolean("use_regex")) pattern_ = Pattern::kGpt2;
  fields.done();
}

void PreTokenizer::read_metaspace(const Json& json) {
  Fields fields(json, "pre_tokenizer: Metaspace");
  fields.text("type");
  space_ = fields.text("replacement", 4);
  if (space_.empty()) unsupported("an empty Metaspace replacement");
  const std::string scheme = fields.text("prepend_scheme");
  if (scheme == "always")
    prefix_ = Prefix::kAlways;
  else if (scheme == "first")
    prefix_ = Prefix::kFirst;
  else if (scheme != "never")
    unsupported("this Metaspace \"prepend_scheme\"");
  split_at_space_ = fields.boolean("split");
  fields.done();
}

std::string PreTokenizer::prepare(std::string_view text, bool first) const {
  std::string out = byte_level_ ? std::string(text) : replace_all(text, " ", space_);
  const bool prefixed = prefix_ == Prefix::kAlways || (prefix_ == Prefix::kFirst && first);
  if (prefixed && !out.starts_with(space_)) out.insert(0, space_);
  return out;
}

std::size_t PreTokenizer::word_end(std::string_view text, std::size_t at) const {
  if (pattern_) return match_end(*pattern_, text, at);
  if (split_at_space_) return std::min(text.find(space_, at + 1), text.size());
  return text.size();
}

}  // namespace aftune::tokenizer
