#include "tokenizer/normalizer.h"

#include "base/error.h"
#include "base/printable.h"
#include "tokenizer/unicode.h"

namespace aftune::tokenizer {
namespace {

constexpr int kMaxDepth = 4;

}  // namespace

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t found = text.find(pattern, at);
    out += text.substr(at, found - at);
    if (found == std::string_view::npos) break;
    out += content;
    at = found + pattern.size();
  }
  return out;
}

std::string plain_pattern(const Json& json) {
  Fields fields(json, "pattern");
  std::string pattern = fields.text("String", kMaxInsertion);
  fields.done();
  if (pattern.empty()) fail(Fault::kEvidence, "pattern: empty");
  return pattern;
}

Normalizer Normalizer::from_json(const Json& json) {
  Normalizer out;
  if (!json.is_null()) out.add(json, 0);
  return out;
}

void Normalizer::add(const Json& json, int depth) {
  Fields fields(json, "normalizer");
  const std::string type = fields.text("type");
  if (type == "Sequence" && depth < kMaxDepth) {
    for (const Json& inner : fields.array("normalizers")) add(inner, depth + 1);
  } else if (type == "NFC") {
    steps_.push_back({Step::Kind::kNfc, {}, {}});
  } else if (type == "Prepend") {
    steps_.push_back({Step::Kind::kPrepend, {}, fields.text("prepend", kMaxInsertion)});
  } else if (type == "Replace") {
    const std::string pattern = plain_pattern(fields.at("pattern"));
    steps_.push_back({Step::Kind::kReplace, pattern, fields.text("content", kMaxInsertion)});
  } else {
    fail(Fault::kEvidence, "normalizer: type \"", printable(type), "\" is not supported");
  }
  fields.done();
  if (steps_.size() > kMaxReplacing)
    fail(Fault::kEvidence, "normalizer: more than ", kMaxReplacing, " steps");
}

std::string Normalizer::apply(const Step& step, std::string text) {
  switch (step.kind) {
    case Step::Kind::kNfc:
      return nfc(text);
    case Step::Kind::kPrepend:
      return text.empty() ? text : step.content + text;
    case Step::Kind::kReplace:
      return replace_all(text, step.pattern, step.content);
  }
  return text;
}

std::string Normalizer::apply(std::string_view text) const {
  std::string out(text);
  for (const Step& step : steps_) out = apply(step, std::move(out));
  return out;
}

}  // namespace aftune::tokenizer
