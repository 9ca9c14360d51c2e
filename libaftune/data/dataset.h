#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "base/parallel.h"
#include "chat/chat_template.h"
#include "data/rows.h"
#include "hash/merkle.h"
#include "record/recipe.h"
#include "tokenizer/tokenizer.h"

namespace aftune::data {

/// A JSONL file: row i is the bytes of line i without its LF (a last line without LF is a row too). A blank
/// line, a CR at the end of a line, bad UTF-8 or an empty file is Error{kUsage} with the row number.
class Dataset {
 public:
  static Dataset read(const fs::path& path);
  std::int64_t rows() const { return static_cast<std::int64_t>(starts_.size()) - 1; }
  std::string_view row(std::int64_t i) const;
  /// RFC 6962 root over the rows' bytes.
  Digest root() const;

 private:
  explicit Dataset(MappedFile file) : file_(std::move(file)) {}
  MappedFile file_;
  std::vector<std::size_t> starts_;
};

/// One data row as tokens: labels already shifted (labels[i] is what position i predicts).
struct Document {
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> labels;
  std::int64_t predicted() const;
};

/// Turns rows into documents:
/// - {"text": ...} is tokenised with the tokenizer's specials and predicted wholly.
/// - {"prompt": ..., "completion": ...} is tokenised as one text, and positions that predict one of the first
///   len(tokens(prompt)) tokens do not count.
/// - {"messages": [...]} (chat::read_turns) is the text that the model's chat template makes of it. What the
///   assistant says counts: of bytes [begin, end) of the text the tokens from len(tokens(text[:begin])) to
///   len(tokens(text[:end])).
/// eos is appended unless recipe.eos is false, the model has none, or a chat template has ended the turn;
/// then the tokens are cut on the right to recipe.seq_len.
class Encoder {
 public:
  /// The template is only looked at when a row has messages.
  Encoder(const tokenizer::Tokenizer& tokenizer, const record::Recipe& recipe, std::int32_t eos,
          std::int32_t vocabulary, std::string_view chat_template);
  /// Throws Error{kUsage} with "row N: field: why": not JSON, unknown or mixed fields, wrong types, an
  /// unknown chat template, an id beyond the model's vocabulary, no predicted position.
  Document encode(std::string_view row, std::int64_t number) const;

 private:
  struct Source;
  Source source_of(std::string_view row) const;
  Source conversation(const Json& messages) const;
  std::vector<std::int32_t> labels(const Source& source, const std::vector<std::int32_t>& tokens) const;

  const tokenizer::Tokenizer& tokenizer_;
  std::int64_t seq_len_;
  std::int32_t eos_;  // -1: none
  std::int32_t vocabulary_;
  std::optional<chat::ChatTemplate> chat_;
  std::string no_chat_;  // why there is none
};

/// Row at each position of the endless order: position p is element p mod rows of the permutation of epoch
/// p / rows, Fisher-Yates on Philox(seed, kOrder, epoch, i) with rejection (docs/trace.md, "Order").
class Order {
 public:
  Order(std::uint64_t seed, std::int64_t rows);
  std::int64_t row_at(std::int64_t position) const;

 private:
  const std::vector<std::int64_t>& epoch(std::int64_t e) const;
  std::uint64_t seed_;
  std::int64_t rows_;
  mutable std::int64_t cached_epoch_ = -1;
  mutable std::vector<std::int64_t> permutation_;
};

/// One step's batch and the positions it used.
struct Batch {
  Rows rows;
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::int64_t predicted = 0;
};

/// The bytes of a row, which are looked at until the next one is asked for.
using RowSource = std::function<std::string_view(std::int64_t row)>;

/// The batch that starts at position `from`. Without packing: batch_size documents, one a row. With packing:
/// rows are filled with documents in order while they fit in seq_len; a document that does not fit starts the
/// next row, and the first that does not fit in the last row starts the next step.
Batch make_batch(const Dataset& dataset, const Encoder& encoder, const Order& order,
                 const record::Recipe& recipe, std::int64_t from);
/// The same from rows that are not all at hand. Of more than max_tokens it is Error{kUsage}.
Batch make_batch(const RowSource& rows, const Encoder& encoder, const Order& order,
                 const record::Recipe& recipe, std::int64_t from, std::int64_t max_tokens);
/// The end of the positions [from, ...) whose rows decide a batch of [from, to): with packing also the one
/// that did not fit.
inline std::int64_t end_of_read(const record::Recipe& recipe, std::int64_t to) {
  return recipe.packing ? to + 1 : to;
}

/// Checks every row once (Encoder::encode), so that a bad row is refused at the start and not after an hour.
void check_rows(const Dataset& dataset, const Encoder& encoder, ThreadPool& pool);

}  // namespace aftune::data
