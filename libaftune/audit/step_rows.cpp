#include "audit/step_rows.h"

#include <algorithm>
#include <cmath>

#include "audit/rejection.h"
#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::audit {
namespace {

std::vector<std::int32_t> read_committed(const LogView& log, TensorSource& source, std::int64_t t,
                                         record::Role role, std::int64_t max_count, const Digest& committed) {
  const std::string what(record::name(role));
  std::vector<std::int32_t> ints = source.read_ints(t, what, max_count);
  const Digest found = log.published({log.grid().step_leaf(t), role}, data::ints_digest(ints));
  if (found != committed)
    throw Rejection(Code::kEvidence, source.ints_name(t, what),
                    cat("expected ", to_hex(committed), ", found ", to_hex(found)));
  return ints;
}

// What was read is what the provider committed to; from here on a contradiction is the provider's.
class Contradiction {
 public:
  Contradiction(const LogView& log, const record::Step& step) : where_(log.step_line(step.step)) {}
  template <class... Parts>
  void unless(bool holds, const Parts&... detail) const {
    if (!holds) throw Rejection(Check::kData, Code::kData, where_, cat(detail...));
  }

 private:
  std::string where_;
};

void check_shape(const LogView& log, const record::Step& step, const data::Rows& rows,
                 const Contradiction& contradiction) {
  const record::Recipe& recipe = log.manifest().recipe;
  const auto documents = std::ssize(rows.doc_starts) - 1;
  contradiction.unless(rows.size() == step.tokens, "the layout has ", rows.size(), " tokens, the step ",
                       step.tokens);
  contradiction.unless(rows.rows() == recipe.batch_size, "the layout has ", rows.rows(), " rows, not ",
                       recipe.batch_size);
  contradiction.unless(documents == step.to - step.from, "the layout has ", documents, " documents for ",
                       step.to - step.from, " data rows");
  for (std::size_t r = 0; r + 1 < rows.row_starts.size(); ++r) {
    const std::int64_t length = rows.row_starts[r + 1] - rows.row_starts[r];
    contradiction.unless(length <= recipe.seq_len, "row ", r, " has ", length, " tokens, more than ",
                         recipe.seq_len);
  }
}

void check_ids(const std::vector<std::int32_t>& ids, std::int32_t least, std::int64_t vocabulary,
               std::int64_t count, std::string_view what, const Contradiction& contradiction) {
  contradiction.unless(std::ssize(ids) == count, ids.size(), " ", what, " for ", count, " positions");
  for (const std::int32_t id : ids)
    contradiction.unless(id >= least && id < vocabulary, what, ": ", id, " is not within the vocabulary");
}

// Each data row is a row, and its image has the same number of positions.
void check_images(const model::Config& config, const data::Rows& rows, const Contradiction& contradiction) {
  const std::int64_t positions = config.max_position;
  for (std::size_t r = 0; r + 1 < rows.row_starts.size(); ++r)
    contradiction.unless(
        rows.row_starts[r + 1] - rows.row_starts[r] == positions && rows.doc_starts == rows.row_starts,
        "row ", r, " is not the ", positions, " positions of an image");
}

// The class token's position has the class, and no other has one.
void check_classes(const data::Rows& rows, const Contradiction& contradiction) {
  for (std::size_t i = 0; i < rows.labels.size(); ++i)
    contradiction.unless((rows.labels[i] != data::kNoLabel) == (rows.positions[i] == 0), "position ", i,
                         ": label ", rows.labels[i], " is no class of an image");
}

void read_pixels(const LogView& log, TensorSource& source, const record::Step& step,
                 const Contradiction& contradiction, data::Rows& rows) {
  const std::int64_t width = log.config().images->shape.pixels();
  // Of as many images as the layout has, which is the recipe's number.
  Matrix pixels(rows.rows(), width);
  source.read_pixels(step.step, pixels);
  const Digest found =
      log.published({log.grid().step_leaf(step.step), record::Role::kTokens}, hash::blake3(pixels.bytes()));
  if (found != step.token_ids)
    throw Rejection(Code::kEvidence, source.ints_name(step.step, "pixels"),
                    cat("expected ", to_hex(step.token_ids), ", found ", to_hex(found)));
  rows.pixels.assign(pixels.data(), pixels.data() + pixels.values.size());
  contradiction.unless(
      std::all_of(rows.pixels.begin(), rows.pixels.end(), [](float value) { return std::isfinite(value); }),
      "pixels: one is not finite");
}

void check_labels(const data::Rows& rows, const record::Step& step, const Contradiction& contradiction) {
  const auto predicted =
      std::count_if(rows.labels.begin(), rows.labels.end(), [](std::int32_t l) { return l >= 0; });
  contradiction.unless(predicted == step.predicted, predicted, " positions have a label, the step says ",
                       step.predicted);
  if (rows.tokens.empty()) return;
  for (std::size_t d = 0; d + 1 < rows.doc_starts.size(); ++d)
    for (std::int64_t i = rows.doc_starts[d]; i < rows.doc_starts[d + 1]; ++i) {
      const std::int32_t label = rows.labels[static_cast<std::size_t>(i)];
      const bool last = i + 1 == rows.doc_starts[d + 1];
      const bool possible =
          label == data::kNoLabel || (!last && label == rows.tokens[static_cast<std::size_t>(i) + 1]);
      contradiction.unless(possible, "position ", i, ": label ", label, " is not the token that follows");
    }
}

}  // namespace

data::Rows load_rows(const LogView& log, TensorSource& source, const record::Step& step, RowParts parts) {
  const Contradiction contradiction(log, step);
  const std::int64_t t = step.step;
  // Each document takes at least one token and each row one number more.
  const auto layout = read_committed(log, source, t, record::Role::kLayout, 2 * step.tokens, step.layout);
  data::Rows rows;
  try {
    rows = data::rows_from_layout(layout, step.tokens);
  } catch (const Error& e) {
    contradiction.unless(false, e.what());
  }
  check_shape(log, step, rows, contradiction);
  const bool images = log.config().images.has_value();
  if (images) check_images(log.config(), rows, contradiction);
  const std::int64_t vocabulary = log.config().vocab;
  if (parts.tokens && images) read_pixels(log, source, step, contradiction, rows);
  if (parts.tokens && !images) {
    rows.tokens = read_committed(log, source, t, record::Role::kTokens, step.tokens, step.token_ids);
    check_ids(rows.tokens, 0, vocabulary, step.tokens, "tokens", contradiction);
  }
  if (parts.labels) {
    rows.labels = read_committed(log, source, t, record::Role::kLabels, step.tokens, step.labels);
    check_ids(rows.labels, data::kNoLabel, vocabulary, step.tokens, "labels", contradiction);
    check_labels(rows, step, contradiction);
    if (images) check_classes(rows, contradiction);
  }
  return rows;
}

}  // namespace aftune::audit
