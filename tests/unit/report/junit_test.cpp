#include "report/junit.h"

#include <gtest/gtest.h>

#include "report/markup.h"
#include "unit/report/verdicts.h"

namespace aftune::report {
namespace {

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

TEST(Markup, LeavesNothingThatXmlOrHtmlWouldRead) {
  const std::string text = escaped(kHostile);
  EXPECT_EQ(text.find_first_of("<>\"'\n\r\t\x1b\x01\x7f"), text.npos);
  EXPECT_TRUE(has(text, "]]&gt;"));
  EXPECT_TRUE(has(text, "&amp;amp;"));
  EXPECT_TRUE(is_utf8(text));
  EXPECT_TRUE(text.ends_with(" \xc3\xa9"));
  for (const char* bad : {"\xc2\x9b", "\xe2\x80\xae", "\xef\xbf\xbe"}) EXPECT_FALSE(has(text, bad));
}

TEST(Junit, PassesOnlyIfTheVerdictIsAccept) {
  EXPECT_TRUE(has(junit(accepted_verdict()), "failures=\"0\" errors=\"0\""));
  audit::Verdict verdict = accepted_verdict();
  for (int i = 0; i <= static_cast<int>(audit::Code::kCoverage); ++i) {
    verdict.reasons = {{static_cast<audit::Code>(i), "somewhere", "something"}};
    conclude(verdict, 1);
    EXPECT_FALSE(has(junit(verdict), "failures=\"0\" errors=\"0\"")) << i;
  }
}

TEST(Junit, PutsReasonsWhereTheyBelong) {
  const std::string text = junit(rejected_verdict());
  // verdict, check update, cell 1,0; and the cell that was not answered
  EXPECT_TRUE(has(text, "failures=\"3\" errors=\"1\""));
  EXPECT_TRUE(
      has(text,
          "name=\"cell 1,0\">\n      <failure message=\"something in it differs\" type=\"rejected\">update"));
  EXPECT_TRUE(has(text, "name=\"cell 2,1\">\n      <error message=\"asked for, and not replayed\""));
  EXPECT_TRUE(has(text, "name=\"cell 0,1\"/>"));
  EXPECT_TRUE(has(text, "recreate (fraud): step 3: expected c, found d"));
  EXPECT_TRUE(has(text, "name=\"data: no --data\">\n      <skipped"));
}

TEST(Junit, ACellIsNotTakenForOneWhoseNameItBegins) {
  audit::Verdict verdict = rejected_verdict();
  verdict.grid.steps = 40;
  verdict.cells = verdict.grid.cells();
  verdict.sampled = {{{1, 1}, audit::CellResult::kChecked, {}}, {{1, 10}, audit::CellResult::kRejected, {}}};
  verdict.reasons = {{audit::Code::kUpdate, "cell 1,10 state 11", "x"}};
  const std::string text = junit(verdict);
  EXPECT_TRUE(has(text, "name=\"cell 1,1\"/>"));
  EXPECT_TRUE(has(text, "name=\"cell 1,10\">\n      <failure"));
}

}  // namespace
}  // namespace aftune::report
