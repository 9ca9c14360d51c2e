#include <algorithm>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "data/dataset.h"
#include "data/image_row.h"
#include "data/row_name.h"

namespace aftune::data {
namespace {

// A row has a few members.
constexpr std::size_t kMaxValues = std::size_t{1} << 16;

// The texts of a row: what is trained on, and how much of its front (the prompt) is only read.
struct RowText {
  std::string text;
  std::string prompt;
  bool has_prompt = false;
};

Json parse_row(std::string_view row) {
  // The JSON parser would skip the mark, and the row's bytes would not be what they seem.
  if (row.starts_with("\xef\xbb\xbf")) fail(Fault::kUsage, "starts with a byte order mark");
  try {
    return parse_json(row, {.max_values = kMaxValues});
  } catch (const Error& e) {
    // The user named this file: it is not evidence whose damage would be a verdict.
    fail(Fault::kUsage, e.what());
  }
}

std::string string_field(const Json& row, const char* field) {
  const auto found = row.find(field);
  if (found == row.end()) fail(Fault::kUsage, field, ": missing");
  if (!found->is_string()) fail(Fault::kUsage, field, ": not a string");
  return found->get<std::string>();
}

RowText read_row(const Json& row) {
  if (!row.is_object()) fail(Fault::kUsage, "not a JSON object");
  for (const auto& [key, value] : row.items())
    if (key != "text" && key != "prompt" && key != "completion")
      fail(Fault::kUsage, printable(key), ": not a known field (a row has text, or prompt and completion)");
  const bool pair = row.contains("prompt") || row.contains("completion");
  if (row.contains("text") && pair) fail(Fault::kUsage, "text: cannot stand beside prompt or completion");
  if (!pair) return {.text = string_field(row, "text"), .prompt = {}};
  const std::string prompt = string_field(row, "prompt");
  return {.text = prompt + string_field(row, "completion"), .prompt = prompt, .has_prompt = true};
}

// labels[i] = tokens[i + 1], except where that token is one of the first `unlabelled`.
std::vector<std::int32_t> shifted_labels(const std::vector<std::int32_t>& tokens, std::size_t unlabelled) {
  std::vector<std::int32_t> labels(tokens.size(), kNoLabel);
  for (std::size_t i = std::max<std::size_t>(unlabelled, 1); i < tokens.size(); ++i)
    labels[i - 1] = tokens[i];
  return labels;
}

}  // namespace

std::int64_t Document::predicted() const {
  return std::ssize(labels) - std::ranges::count(labels, kNoLabel);
}

Encoder::Encoder(const tokenizer::Tokenizer& tokenizer, const record::Recipe& recipe, std::int32_t eos,
                 std::int32_t vocabulary)
    : tokenizer_(&tokenizer), seq_len_(recipe.seq_len), eos_(recipe.eos ? eos : -1), vocabulary_(vocabulary) {
  AFTUNE_CHECK(seq_len_ > 0);
  if (eos_ >= vocabulary_)
    fail(Fault::kUsage, "eos token ", eos_, " is beyond the model's vocabulary of ", vocabulary_);
}

Encoder::Encoder(ImageForm form) : images_(std::move(form)) {}

Document Encoder::encode(std::string_view row, std::int64_t number) const {
  return within(images_ ? cat("row ", number + 1) : row_name(number),
                [&] { return images_ ? encode_image(row) : encode_text(row); });
}

Document Encoder::encode_text(std::string_view row) const {
  const RowText source = read_row(parse_row(row));
  Document document;
  document.tokens = tokenizer_->encode(source.text, true);
  if (eos_ >= 0) document.tokens.push_back(eos_);
  if (std::ssize(document.tokens) > seq_len_) document.tokens.resize(static_cast<std::size_t>(seq_len_));
  for (const std::int32_t id : document.tokens)
    if (id >= vocabulary_)
      fail(Fault::kUsage, "token ", id, " is beyond the model's vocabulary of ", vocabulary_);
  const std::size_t unlabelled =
      source.has_prompt ? tokenizer_->encode(source.prompt, true).size() : std::size_t{0};
  document.labels = shifted_labels(document.tokens, unlabelled);
  if (document.predicted() == 0)
    fail(Fault::kUsage, "no token to predict within ", seq_len_, " tokens",
         source.has_prompt ? cat(" (the prompt has ", unlabelled, ')') : "");
  return document;
}

Document Encoder::encode_image(std::string_view row) const {
  const ImageRow image = parse_image_row(*images_, row);
  Document document;
  document.labels.assign(static_cast<std::size_t>(images_->positions()), kNoLabel);
  document.labels.front() = image.label;
  document.pixels.resize(static_cast<std::size_t>(images_->pixels()));
  normalise(*images_, image, document.pixels);
  return document;
}

void check_rows(const Dataset& dataset, const Encoder& encoder, ThreadPool& pool) {
  constexpr std::int64_t kRowsPerTask = 64;
  std::mutex mutex;
  std::int64_t first_bad = dataset.rows();
  std::optional<Error> error;
  // Of several bad rows the first is reported, whichever thread meets its own first.
  const auto check = [&](std::int64_t row) {
    try {
      std::string room;
      encoder.encode(dataset.row(row, room), row);
    } catch (const Error& e) {
      const std::lock_guard lock(mutex);
      if (row >= first_bad) return;
      first_bad = row;
      error = e;
    }
  };
  const auto wanted = [&](std::int64_t row) {
    const std::lock_guard lock(mutex);
    return row < first_bad;
  };
  pool.run((dataset.rows() + kRowsPerTask - 1) / kRowsPerTask, [&](std::int64_t task) {
    const std::int64_t end = std::min(dataset.rows(), (task + 1) * kRowsPerTask);
    for (std::int64_t row = task * kRowsPerTask; row < end && wanted(row); ++row) check(row);
  });
  if (error) throw *error;
}

}  // namespace aftune::data
