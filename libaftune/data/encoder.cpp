#include <algorithm>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "data/dataset.h"
#include "data/row_name.h"

namespace aftune::data {
namespace {

// A row has a few members.
constexpr std::size_t kMaxValues = std::size_t{1} << 16;

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

// One kind of row: its members, in the order in which they are missed.
enum class Kind { kText, kPair, kMessages };

Kind kind_of(const Json& row) {
  if (!row.is_object()) fail(Fault::kUsage, "not a JSON object");
  for (const auto& [key, value] : row.items())
    if (key != "text" && key != "prompt" && key != "completion" && key != "messages")
      fail(Fault::kUsage, printable(key),
           ": not a known field (a row has text, or prompt and completion, or messages)");
  const bool pair = row.contains("prompt") || row.contains("completion");
  for (const char* alone : {"text", "messages"})
    if (row.contains(alone) && row.size() > 1)
      fail(Fault::kUsage, alone, ": cannot stand beside ", pair ? "prompt or completion" : "messages");
  if (pair) return Kind::kPair;
  return row.contains("messages") ? Kind::kMessages : Kind::kText;
}

}  // namespace

std::int64_t Document::predicted() const {
  return std::ssize(labels) - std::ranges::count(labels, kNoLabel);
}

// What a row asks for, before it is tokens.
struct Encoder::Source {
  std::string text;
  bool specials = true;  // those of the tokenizer go around it
  bool eos = true;
  std::string prompt = {};  // of a pair: the text's front, which is only read
  bool has_prompt = false;
  std::vector<chat::Span> said = {};  // of a conversation: what counts, ascending
  bool is_conversation = false;
};

Encoder::Encoder(const tokenizer::Tokenizer& tokenizer, const record::Recipe& recipe, std::int32_t eos,
                 std::int32_t vocabulary, std::string_view chat_template)
    : tokenizer_(tokenizer), seq_len_(recipe.seq_len), eos_(recipe.eos ? eos : -1), vocabulary_(vocabulary) {
  AFTUNE_CHECK(seq_len_ > 0);
  if (eos_ >= vocabulary_)
    fail(Fault::kUsage, "eos token ", eos_, " is beyond the model's vocabulary of ", vocabulary_);
  try {
    chat_ = chat::ChatTemplate::parse(chat_template);
  } catch (const Error& e) {
    no_chat_ = e.what();
  }
}

Encoder::Source Encoder::source_of(std::string_view row) const {
  const Json json = parse_row(row);
  switch (kind_of(json)) {
    case Kind::kText:
      return {.text = string_field(json, "text")};
    case Kind::kMessages:
      return conversation(json.at("messages"));
    case Kind::kPair:
      break;
  }
  const std::string prompt = string_field(json, "prompt");
  return {.text = prompt + string_field(json, "completion"), .prompt = prompt, .has_prompt = true};
}

Encoder::Source Encoder::conversation(const Json& messages) const {
  std::vector<chat::Turn> turns;
  try {
    turns = chat::read_turns(messages);
  } catch (const Error& e) {
    fail(Fault::kUsage, "messages: ", e.what());
  }
  if (!chat_) fail(Fault::kUsage, "messages: ", no_chat_);
  std::vector<chat::Message> said;
  for (const chat::Turn& turn : turns) said.push_back(turn.message);
  chat::Conversation all = chat_->conversation(said);
  Source source{.text = std::move(all.text), .specials = chat_->wants_specials(), .is_conversation = true};
  // A template ends turns itself; the plain form has nothing but the end of the sequence for it.
  source.eos = chat_->wants_specials();
  for (std::size_t i = 0; i < turns.size(); ++i)
    if (turns[i].counts) source.said.push_back(all.said[i]);
  if (source.eos && !turns.empty() && turns.back().counts) source.said.back().end = std::string::npos;
  return source;
}

// labels[i] = tokens[i + 1] where that token counts. `tokens` are cut already.
std::vector<std::int32_t> Encoder::labels(const Source& source,
                                          const std::vector<std::int32_t>& tokens) const {
  std::vector<std::int32_t> labels(tokens.size(), kNoLabel);
  const auto count_until = [&](std::size_t byte) {
    if (byte == 0) return std::size_t{0};
    if (byte == std::string::npos) return tokens.size();
    return tokenizer_.encode(std::string_view(source.text).substr(0, byte), source.specials).size();
  };
  const auto label = [&](std::size_t first, std::size_t last) {
    for (std::size_t i = std::max<std::size_t>(first, 1); i < std::min(last, tokens.size()); ++i)
      labels[i - 1] = tokens[i];
  };
  if (source.has_prompt) label(tokenizer_.encode(source.prompt, true).size(), tokens.size());
  if (!source.has_prompt && !source.is_conversation) label(0, tokens.size());
  for (const chat::Span& span : source.said) {
    const std::size_t first = count_until(span.begin);
    // Every turn has a token, so there are few before the cut, however many a hostile row has behind it.
    if (first >= tokens.size()) break;
    label(first, count_until(span.end));
  }
  return labels;
}

Document Encoder::encode(std::string_view row, std::int64_t number) const {
  return within(row_name(number), [&] {
    const Source source = source_of(row);
    Document document;
    document.tokens = tokenizer_.encode(source.text, source.specials);
    if (eos_ >= 0 && source.eos) document.tokens.push_back(eos_);
    if (std::ssize(document.tokens) > seq_len_) document.tokens.resize(static_cast<std::size_t>(seq_len_));
    for (const std::int32_t id : document.tokens)
      if (id >= vocabulary_)
        fail(Fault::kUsage, "token ", id, " is beyond the model's vocabulary of ", vocabulary_);
    document.labels = labels(source, document.tokens);
    if (document.predicted() > 0) return document;
    if (source.is_conversation && source.said.empty())
      fail(Fault::kUsage, "messages: nothing that counts: no assistant's, or all of weight 0");
    fail(Fault::kUsage, "no token to predict within ", seq_len_, " tokens",
         source.has_prompt ? cat(" (the prompt has ", tokenizer_.encode(source.prompt, true).size(), ')')
                           : "");
  });
}

void check_rows(const Dataset& dataset, const Encoder& encoder, ThreadPool& pool) {
  constexpr std::int64_t kRowsPerTask = 64;
  std::mutex mutex;
  std::int64_t first_bad = dataset.rows();
  std::optional<Error> error;
  // Of several bad rows the first is reported, whichever thread meets its own first.
  const auto check = [&](std::int64_t row) {
    try {
      encoder.encode(dataset.row(row), row);
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
