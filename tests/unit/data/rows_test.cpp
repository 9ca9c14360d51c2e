#include "data/rows.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace aftune::data {
namespace {

// Two documents of 2 and 3 tokens in row 0, one of 1 in row 1, one of 4 in row 2.
Rows packed_rows() {
  Rows rows;
  rows.tokens = {10, 11, 20, 21, 22, 30, 40, 41, 42, 43};
  rows.labels = {11, -1, 21, 22, -1, -1, 41, 42, 43, -1};
  rows.positions = {0, 1, 0, 1, 2, 0, 0, 1, 2, 3};
  rows.doc_starts = {0, 2, 5, 6, 10};
  rows.row_starts = {0, 5, 6, 10};
  rows.first_row = 8;
  return rows;
}

TEST(Rows, SliceCutsEverythingAndCountsFromItsOwnStart) {
  const Rows part = packed_rows().slice(1, 3);
  EXPECT_EQ(part.tokens, (std::vector<std::int32_t>{30, 40, 41, 42, 43}));
  EXPECT_EQ(part.labels, (std::vector<std::int32_t>{-1, 41, 42, 43, -1}));
  EXPECT_EQ(part.positions, (std::vector<std::int32_t>{0, 0, 1, 2, 3}));
  EXPECT_EQ(part.doc_starts, (std::vector<std::int64_t>{0, 1, 5}));
  EXPECT_EQ(part.row_starts, (std::vector<std::int64_t>{0, 1, 5}));
  EXPECT_EQ(part.first_row, 9);
  EXPECT_EQ(packed_rows().slice(0, 1).doc_starts, (std::vector<std::int64_t>{0, 2, 5}));
}

TEST(Rows, SliceOfRowsWithoutTokensHasNone) {
  Rows rows = packed_rows();
  rows.tokens.clear();
  rows.labels.clear();
  const Rows part = rows.slice(0, 2);
  EXPECT_TRUE(part.tokens.empty());
  EXPECT_TRUE(part.labels.empty());
  EXPECT_EQ(part.size(), 6);
  EXPECT_EQ(part.rows(), 2);
}

TEST(Rows, SlicesOfSlicesAgree) {
  const Rows all = packed_rows();
  const Rows twice = all.slice(0, 3).slice(1, 2);
  const Rows once = all.slice(1, 2);
  EXPECT_EQ(twice.tokens, once.tokens);
  EXPECT_EQ(twice.doc_starts, once.doc_starts);
  EXPECT_EQ(twice.first_row, once.first_row);
}

TEST(Rows, LayoutIsItsOwnInverse) {
  const Rows rows = packed_rows();
  const std::vector<std::int32_t> layout = layout_of(rows);
  EXPECT_EQ(layout, (std::vector<std::int32_t>{2, 2, 3, 1, 1, 1, 4}));
  const Rows again = rows_from_layout(layout, 10);
  EXPECT_EQ(again.positions, rows.positions);
  EXPECT_EQ(again.doc_starts, rows.doc_starts);
  EXPECT_EQ(again.row_starts, rows.row_starts);
  EXPECT_TRUE(again.tokens.empty());
}

std::string layout_error(const std::vector<std::int32_t>& layout, std::int64_t max_tokens) {
  try {
    rows_from_layout(layout, max_tokens);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kEvidence);
    return e.what();
  }
  return "accepted";
}

TEST(Rows, HostileLayoutsAreRefused) {
  const std::int32_t huge = std::numeric_limits<std::int32_t>::max();
  EXPECT_EQ(layout_error({}, 100), "layout: empty");
  EXPECT_EQ(layout_error({0}, 100), "layout: a document count of 0");
  EXPECT_EQ(layout_error({-1, 3}, 100), "layout: a document count of -1");
  EXPECT_EQ(layout_error({1, 0}, 100), "layout: a document length of 0");
  EXPECT_EQ(layout_error({1, -5}, 100), "layout: a document length of -5");
  EXPECT_EQ(layout_error({1}, 100), "layout: a row of 1 documents is cut short");
  EXPECT_EQ(layout_error({2, 3}, 100), "layout: a row of 2 documents is cut short");
  EXPECT_EQ(layout_error({huge, 3}, 100), "layout: a row of 2147483647 documents is cut short");
  EXPECT_EQ(layout_error({1, 4, 1, 7}, 10), "layout: more tokens than the step may hold");
  EXPECT_EQ(layout_error({2, huge, huge}, huge), "layout: more tokens than the step may hold");
  EXPECT_EQ(layout_error({1, 4, 1, 6}, 10), "accepted");
}

TEST(Rows, IntsDigestIsBlake3OfLittleEndianBytes) {
  // b3sum of the bytes 01 00 00 00 fe ff ff ff.
  EXPECT_EQ(to_hex(ints_digest({1, -2})), "747633e767ed0faed3ff4996e073156b84baeb780e38e5a4710a6b8f2ed12c05");
  EXPECT_EQ(to_hex(ints_digest({})), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
}

}  // namespace
}  // namespace aftune::data
