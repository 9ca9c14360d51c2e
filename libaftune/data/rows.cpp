#include "data/rows.h"

#include <algorithm>
#include <numeric>
#include <span>

#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::data {
namespace {

std::vector<std::int32_t> cut(const std::vector<std::int32_t>& values, std::int64_t from, std::int64_t to) {
  if (values.empty()) return {};
  return {values.begin() + from, values.begin() + to};
}

// The starts that lie within [from, to], counted from `from`.
std::vector<std::int64_t> cut_starts(const std::vector<std::int64_t>& starts, std::int64_t from,
                                     std::int64_t to) {
  const auto first = std::lower_bound(starts.begin(), starts.end(), from);
  const auto last = std::upper_bound(first, starts.end(), to);
  std::vector<std::int64_t> out(first, last);
  for (std::int64_t& start : out) start -= from;
  return out;
}

// Reads the layout's numbers one after another, each checked.
class LayoutReader {
 public:
  LayoutReader(const std::vector<std::int32_t>& layout, std::int64_t max_tokens)
      : layout_(layout), left_(max_tokens) {}

  bool at_end() const { return next_ == layout_.size(); }

  std::int32_t documents() {
    const std::int32_t count = positive("document count");
    // Each document takes one more number, so a count past the end is refused before it is looped over.
    if (static_cast<std::size_t>(count) > layout_.size() - next_)
      fail(Fault::kEvidence, "layout: a row of ", count, " documents is cut short");
    return count;
  }

  std::int32_t length() {
    const std::int32_t length = positive("document length");
    if (length > left_) fail(Fault::kEvidence, "layout: more tokens than the step may hold");
    left_ -= length;
    return length;
  }

 private:
  std::int32_t positive(const char* what) {
    const std::int32_t value = layout_[next_++];
    if (value <= 0) fail(Fault::kEvidence, "layout: a ", what, " of ", value);
    return value;
  }

  const std::vector<std::int32_t>& layout_;
  std::size_t next_ = 0;
  std::int64_t left_;
};

}  // namespace

Rows Rows::slice(std::int64_t begin, std::int64_t end) const {
  AFTUNE_CHECK(begin >= 0 && begin < end && end <= rows());
  const std::int64_t from = row_starts[static_cast<std::size_t>(begin)];
  const std::int64_t to = row_starts[static_cast<std::size_t>(end)];
  Rows part;
  part.tokens = cut(tokens, from, to);
  part.labels = cut(labels, from, to);
  part.pixels = cut_pixels(from, to);
  part.positions = cut(positions, from, to);
  part.doc_starts = cut_starts(doc_starts, from, to);
  part.row_starts = cut_starts(row_starts, from, to);
  part.first_row = first_row + begin;
  return part;
}

std::vector<float> Rows::cut_pixels(std::int64_t from, std::int64_t to) const {
  if (pixels.empty()) return {};
  const auto document = [&](std::int64_t token) {
    return std::lower_bound(doc_starts.begin(), doc_starts.end(), token) - doc_starts.begin();
  };
  const std::int64_t width = std::ssize(pixels) / (std::ssize(doc_starts) - 1);
  return {pixels.begin() + document(from) * width, pixels.begin() + document(to) * width};
}

std::vector<std::int32_t> layout_of(const Rows& rows) {
  std::vector<std::int32_t> layout;
  std::size_t doc = 0;
  for (std::int64_t row = 0; row < rows.rows(); ++row) {
    const std::size_t count_at = layout.size();
    layout.push_back(0);
    const std::int64_t row_end = rows.row_starts[static_cast<std::size_t>(row) + 1];
    for (; doc + 1 < rows.doc_starts.size() && rows.doc_starts[doc + 1] <= row_end; ++doc) {
      layout.push_back(static_cast<std::int32_t>(rows.doc_starts[doc + 1] - rows.doc_starts[doc]));
      ++layout[count_at];
    }
  }
  return layout;
}

Rows rows_from_layout(const std::vector<std::int32_t>& layout, std::int64_t max_tokens) {
  if (layout.empty()) fail(Fault::kEvidence, "layout: empty");
  Rows rows;
  rows.doc_starts = {0};
  rows.row_starts = {0};
  LayoutReader reader(layout, max_tokens);
  while (!reader.at_end()) {
    for (std::int32_t left = reader.documents(); left > 0; --left)
      rows.doc_starts.push_back(rows.doc_starts.back() + reader.length());
    rows.row_starts.push_back(rows.doc_starts.back());
  }
  rows.positions.resize(static_cast<std::size_t>(rows.size()));
  for (std::size_t doc = 0; doc + 1 < rows.doc_starts.size(); ++doc)
    std::iota(rows.positions.begin() + rows.doc_starts[doc],
              rows.positions.begin() + rows.doc_starts[doc + 1], 0);
  return rows;
}

Digest ints_digest(const std::vector<std::int32_t>& values) {
  return hash::blake3(std::as_bytes(std::span(values)));
}

Digest input_digest(const Rows& rows) {
  return rows.pixels.empty() ? ints_digest(rows.tokens) : hash::blake3(std::as_bytes(std::span(rows.pixels)));
}

}  // namespace aftune::data
