#include "tokenizer/postprocessor.h"

#include "base/error.h"
#include "base/printable.h"
#include "tokenizer/vocabulary.h"

namespace aftune::tokenizer {
namespace {

constexpr std::size_t kMaxPieces = 64;

[[noreturn]] void unsupported_part(std::string_view what) {
  fail(Fault::kEvidence, "post_processor: ", what, " is not supported");
}

// The ids of the template's special token of that name.
std::vector<std::int32_t> special_ids(const Json& special_tokens, const std::string& name) {
  Fields all(special_tokens, "post_processor: special_tokens");
  Fields entry(all.object(name), "post_processor: special_tokens");
  const Json& list = entry.array("ids");
  if (list.size() > kMaxPieces) unsupported_part("a special token of so many ids");
  std::vector<std::int32_t> ids;
  for (const Json& id : list) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= static_cast<std::uint64_t>(kMaxTokens))
      fail(Fault::kEvidence, "post_processor: special_tokens: an id of \"", printable(name),
           "\" is not a token's");
    ids.push_back(id.get<std::int32_t>());
  }
  return ids;
}

void read_template(const Json& json, PostProcessor& out) {
  Fields fields(json, "post_processor: TemplateProcessing");
  fields.text("type");
  if (fields.has("pair")) fields.at("pair");  // pairs of texts are never encoded here
  const Json& special_tokens = fields.object("special_tokens");
  const Json& pieces = fields.array("single");
  fields.done();
  if (pieces.size() > kMaxPieces) unsupported_part("a template of so many pieces");
  int texts = 0;
  for (const Json& piece : pieces) {
    Fields kind(piece, "post_processor: single");
    const bool is_text = kind.has("Sequence");
    Fields inner(kind.object(is_text ? "Sequence" : "SpecialToken"), "post_processor: single");
    kind.done();
    const std::string name = inner.text("id");
    if (is_text) {
      if (name != "A") unsupported_part("a template whose text is not A");
      ++texts;
      continue;
    }
    const std::vector<std::int32_t> ids = special_ids(special_tokens, name);
    std::vector<std::int32_t>& side = texts == 0 ? out.before : out.after;
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (texts != 1) unsupported_part("a template that does not have the text exactly once");
}

// Returns how many templates were read.
int read(const Json& json, PostProcessor& out, bool inside_sequence) {
  Fields fields(json, "post_processor");
  const std::string type = fields.text("type");
  if (type == "ByteLevel") return 0;
  if (type == "TemplateProcessing") {
    read_template(json, out);
    return 1;
  }
  if (type != "Sequence" || inside_sequence) unsupported_part(cat("type \"", printable(type), '"'));
  int templates = 0;
  for (const Json& inner : fields.array("processors")) templates += read(inner, out, true);
  fields.done();
  return templates;
}

}  // namespace

PostProcessor PostProcessor::from_json(const Json& json) {
  PostProcessor out;
  if (json.is_null()) return out;
  if (read(json, out, false) > 1) unsupported_part("more than one template");
  return out;
}

}  // namespace aftune::tokenizer
