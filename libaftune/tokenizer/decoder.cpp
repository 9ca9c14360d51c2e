#include "tokenizer/decoder.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/printable.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/utf8.h"

namespace aftune::tokenizer {
namespace {

std::string joined(const std::vector<std::string>& tokens, std::string_view between) {
  std::string out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) out += between;
    out += tokens[i];
  }
  return out;
}

std::string decode_byte_level(const std::vector<std::string>& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += bytes_of_alphabet(token).value_or(token);
  return replace_invalid(bytes);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte of a token such as <0x0A>.
std::optional<char> fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  const int high = hex_digit(token[3]);
  const int low = hex_digit(token[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

// Runs of byte tokens become text; a run that is not UTF-8 becomes one U+FFFD a byte.
void join_fallback_bytes(std::vector<std::string>& tokens) {
  std::vector<std::string> out;
  std::string run;
  const auto end_run = [&] {
    if (run.empty()) return;
    if (is_utf8(run))
      out.push_back(run);
    else
      out.insert(out.end(), run.size(), "\xef\xbf\xbd");
    run.clear();
  };
  for (std::string& token : tokens) {
    if (const std::optional<char> byte = fallback_byte(token)) {
      run.push_back(*byte);
      continue;
    }
    end_run();
    out.push_back(std::move(token));
  }
  end_run();
  tokens = std::move(out);
}

void strip(std::string& token, std::string_view content, std::int64_t start, std::int64_t stop) {
  std::string_view kept = token;
  for (; start > 0 && kept.starts_with(content); --start) kept.remove_prefix(content.size());
  for (; stop > 0 && kept.ends_with(content); --stop) kept.remove_suffix(content.size());
  token = std::string(kept);
}

// The mark becomes a space, but at the start of the text it is dropped if the pre-tokeniser puts one there.
void decode_metaspace(std::vector<std::string>& tokens, const std::string& mark, bool first_is_dropped) {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = replace_all(tokens[i], mark, i == 0 && first_is_dropped ? "" : " ");
}

}  // namespace

Decoder Decoder::from_json(const Json& json) {
  Decoder out;
  if (!json.is_null()) out.add(json, false);
  return out;
}

void Decoder::add(const Json& json, bool inside_sequence) {
  Fields fields(json, "decoder");
  const std::string type = fields.text("type");
  if (type == "Sequence" && !inside_sequence) {
    const Json& list = fields.array("decoders");
    if (list.empty() || list.size() > 8) fail(Fault::kEvidence, "decoder: a Sequence of ", list.size());
    for (const Json& inner : list) add(inner, true);
  } else {
    steps_.push_back(read_step(type, fields));
  }
  fields.done();
  if (std::ranges::count(steps_, Step::Kind::kReplace, &Step::kind) >
      static_cast<std::ptrdiff_t>(kMaxReplacing))
    fail(Fault::kEvidence, "decoder: more than ", kMaxReplacing, " Replace steps");
}

Decoder::Step Decoder::read_step(const std::string& type, Fields& fields) {
  using Kind = Step::Kind;
  if (type == "ByteFallback") return {Kind::kByteFallback};
  if (type == "Fuse") return {Kind::kFuse};
  if (type == "ByteLevel") {
    for (const char* unused : {"add_prefix_space", "trim_offsets", "use_regex"})
      if (fields.has(unused)) fields.boolean(unused);
    return {Kind::kByteLevel};
  }
  if (type == "Replace") {
    std::string pattern = plain_pattern(fields.at("pattern"));
    return {Kind::kReplace, std::move(pattern), fields.text("content", kMaxInsertion)};
  }
  if (type == "Strip") {
    Step step{Kind::kStrip, fields.text("content", 4)};
    step.start = fields.integer("start", 0);
    step.stop = fields.integer("stop", 0);
    if (step.pattern.empty()) fail(Fault::kEvidence, "decoder: \"content\" is empty");
    return step;
  }
  if (type == "Metaspace") {
    Step step{Kind::kMetaspace, fields.text("replacement", 4)};
    step.start = fields.text("prepend_scheme") != "never";
    if (fields.has("split")) fields.boolean("split");
    if (step.pattern.empty()) fail(Fault::kEvidence, "decoder: \"replacement\" is empty");
    return step;
  }
  fail(Fault::kEvidence, "decoder: type \"", printable(type), "\" is not supported");
}

void Decoder::apply(const Step& step, std::vector<std::string>& tokens) {
  switch (step.kind) {
    case Step::Kind::kByteLevel:
      tokens = {decode_byte_level(tokens)};
      break;
    case Step::Kind::kMetaspace:
      decode_metaspace(tokens, step.pattern, step.start != 0);
      break;
    case Step::Kind::kReplace:
      for (std::string& token : tokens) token = replace_all(token, step.pattern, step.content);
      break;
    case Step::Kind::kByteFallback:
      join_fallback_bytes(tokens);
      break;
    case Step::Kind::kFuse:
      tokens = {joined(tokens, "")};
      break;
    case Step::Kind::kStrip:
      for (std::string& token : tokens) strip(token, step.pattern, step.start, step.stop);
      break;
  }
}

bool Decoder::is_fallback_byte(const std::string& token) {
  return fallback_byte(token).has_value();
}

std::string Decoder::decode(std::vector<std::string> tokens) const {
  for (const Step& step : steps_) apply(step, tokens);
  return joined(tokens, steps_.empty() ? " " : "");
}

std::string Decoder::bytes_of(std::string token) const {
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Step::Kind::kByteLevel:
        token = bytes_of_alphabet(token).value_or(token);
        break;
      case Step::Kind::kMetaspace:
        token = replace_all(token, step.pattern, " ");
        break;
      case Step::Kind::kReplace:
        token = replace_all(token, step.pattern, step.content);
        break;
      case Step::Kind::kByteFallback:
        if (const std::optional<char> byte = fallback_byte(token)) return {*byte};
        break;
      case Step::Kind::kFuse:
      case Step::Kind::kStrip:  // of the text's ends
        break;
    }
  }
  return token;
}

}  // namespace aftune::tokenizer
