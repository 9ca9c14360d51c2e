#include "report/page.h"

#include <gtest/gtest.h>

#include <limits>

#include "report/figures.h"
#include "unit/report/verdicts.h"

namespace aftune::report {
namespace {

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST(CellMap, DrawsEveryCellOfASmallGridAsItIs) {
  const std::string map = cell_map(rejected_verdict(), Width::kNarrow);
  EXPECT_EQ(count(map, "<use "), 8u);
  EXPECT_EQ(count(map, "href=\"#checked\""), 1u);
  EXPECT_EQ(count(map, "href=\"#rejected\""), 1u);
  EXPECT_EQ(count(map, "href=\"#unanswered\""), 1u);
  EXPECT_EQ(count(map, "href=\"#unsampled\""), 5u);
  EXPECT_EQ(count(map, "layer block 1 (layer 0), step block 0 (steps 0-1): rejected"), 1u);
  EXPECT_FALSE(is_grouped(rejected_verdict().grid, Width::kNarrow));
}

// Groups of a large grid: none is lost, each shows the worst, and a part is not shown as the whole.
TEST(CellMap, GroupsALargeGrid) {
  audit::Verdict v;
  v.grid = {.layers = 80, .tied = false, .layers_per_block = 1, .steps = 7999, .steps_per_block = 8};
  v.cells = v.grid.cells();
  for (const std::int64_t s : {0, 499, 999})
    for (const int b : {0, 40, 81}) v.sampled.push_back({{b, s}, audit::CellResult::kChecked, {}});
  v.sampled[4].result = audit::CellResult::kRejected;
  for (const Width width : {Width::kNarrow, Width::kWide}) {
    EXPECT_TRUE(is_grouped(v.grid, width));
    const std::string map = cell_map(v, width);
    EXPECT_LT(map.size(), std::size_t{1} << 20);
    EXPECT_EQ(count(map, "href=\"#rejected\""), 1u);
    EXPECT_EQ(count(map, "href=\"#partly\""), 8u);
    EXPECT_EQ(count(map, "href=\"#checked\""), 0u);
  }
}

TEST(CellMap, DrawsTheLargestGridThatAVerdictMayName) {
  audit::Verdict v;
  v.grid = {.layers = 1 << 20,
            .tied = true,
            .layers_per_block = 1,
            .steps = std::int64_t{1} << 40,
            .steps_per_block = 1};
  v.sampled.push_back({{1 << 20, (std::int64_t{1} << 40) - 1}, audit::CellResult::kChecked, {}});
  EXPECT_EQ(count(cell_map(v, Width::kWide), "href=\"#partly\""), 1u);
}

TEST(BlockName, NamesBothEnds) {
  const record::Grid grid{
      .layers = 5, .tied = false, .layers_per_block = 2, .steps = 1, .steps_per_block = 1};
  EXPECT_EQ(block_name(grid, 0), "embed");
  EXPECT_EQ(block_name(grid, 1), "layers 0-1");
  EXPECT_EQ(block_name(grid, 3), "layer 4");
  EXPECT_EQ(block_name(grid, 4), "head");
}

TEST(LossChart, KeepsThePeakOfALongRunAndLeavesOutWhatIsNoNumber) {
  RunLog run;
  run.losses.assign(20000, 2.0f);
  run.losses[12345] = 9.0f;
  run.losses[3] = std::numeric_limits<float>::quiet_NaN();
  run.losses[4] = std::numeric_limits<float>::infinity();
  for (const Width width : {Width::kNarrow, Width::kWide}) {
    const std::string chart = loss_chart(run, width);
    EXPECT_EQ(count(chart, "nan") + count(chart, "inf"), 0u);
    EXPECT_GE(count(chart, ">8</text>"), 1u);
    EXPECT_LT(chart.size(), std::size_t{40000});
  }
}

TEST(LossChart, DrawsRunsThatHaveNoRange) {
  for (const std::vector<float>& losses : {std::vector<float>{}, {1.0f}, {0.0f, 0.0f}, {3e38f, -3e38f}}) {
    RunLog run;
    run.losses = losses;
    const std::string chart = loss_chart(run, Width::kWide);
    EXPECT_EQ(count(chart, "nan") + count(chart, "inf"), 0u) << losses.size();
  }
}

TEST(Page, EscapesEverythingInTheVerdict) {
  audit::Verdict v = rejected_verdict();
  const std::size_t tags = count(page({.verdict = v}), "<");
  for (std::string* text :
       {&v.reasons[0].where, &v.reasons[0].detail, &v.attacker, &v.unchecked[0], &v.origin, &v.bound["note"]})
    *text = kHostile;
  const std::string text = page({.verdict = v, .signer = std::string(kHostile)});
  EXPECT_EQ(count(text, "<"), tags);
  EXPECT_EQ(count(text, "\x1b"), 0u);
  EXPECT_TRUE(is_utf8(text));
}

TEST(Page, RefersToNothingOutsideItself) {
  const std::string text = page({.verdict = rejected_verdict()});
  for (const char* part : {"http://", "https://", "<script", "<link", "<img", "url(", "@import", " src="})
    EXPECT_EQ(count(text, part), 0u) << part;
  EXPECT_EQ(count(text, "default-src 'none'; style-src 'unsafe-inline'"), 1u);
}

}  // namespace
}  // namespace aftune::report
