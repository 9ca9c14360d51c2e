#include "audit/verdict.h"

#include <gtest/gtest.h>

#include <set>

namespace aftune::audit {
namespace {

Verdict with(std::int64_t checked, std::vector<Code> codes = {}) {
  Verdict verdict;
  verdict.cells = 10;
  verdict.checked = checked;
  for (const Code code : codes) verdict.reasons.push_back({code, "somewhere", "something"});
  return verdict;
}

Outcome outcome(Verdict verdict, std::int64_t asked) {
  conclude(verdict, asked);
  return verdict.outcome;
}

TEST(Verdict, AcceptsOnlyWhenEveryCellAskedWasChecked) {
  EXPECT_EQ(outcome(with(3), 3), Outcome::kAccept);
  EXPECT_EQ(outcome(with(2), 3), Outcome::kIncomplete);
  EXPECT_EQ(outcome(with(0), 0), Outcome::kIncomplete);
  EXPECT_EQ(outcome(with(0), 3), Outcome::kIncomplete);
}

TEST(Verdict, SaysWhyItIsIncomplete) {
  Verdict verdict = with(2);
  conclude(verdict, 3);
  ASSERT_EQ(verdict.reasons.size(), 1u);
  EXPECT_EQ(verdict.reasons[0].code, Code::kCoverage);
  EXPECT_EQ(verdict.reasons[0].detail, "checked 2 of 3 cells asked for");
}

TEST(Verdict, AnyReasonPreventsAccept) {
  for (int i = 0; i <= static_cast<int>(Code::kCoverage); ++i) {
    const Code code = static_cast<Code>(i);
    const Outcome expected = class_of(code) == ReasonClass::kAbsent ? Outcome::kIncomplete : Outcome::kReject;
    EXPECT_EQ(outcome(with(3, {code}), 3), expected) << name(code);
    EXPECT_EQ(outcome(with(3, {Code::kAbsent, code}), 3), expected) << name(code);
  }
}

TEST(Verdict, NamesAreDistinct) {
  std::set<std::string_view> codes, checks;
  for (int i = 0; i <= static_cast<int>(Code::kCoverage); ++i) codes.insert(name(static_cast<Code>(i)));
  for (int i = 0; i <= static_cast<int>(Check::kExport); ++i) checks.insert(name(static_cast<Check>(i)));
  EXPECT_EQ(codes.size(), static_cast<std::size_t>(Code::kCoverage) + 1);
  EXPECT_EQ(checks.size(), static_cast<std::size_t>(Check::kExport) + 1);
}

TEST(Verdict, JsonStatesCoverageAndWhatWasNotChecked) {
  Verdict verdict = with(2, {Code::kForward});
  verdict.sampled = {
      {{1, 0}, CellResult::kChecked, Digest{}}, {{2, 0}, CellResult::kRejected, {}}, {{4, 1}, {}, {}}};
  verdict.unchecked = {"data: no --data"};
  verdict.checks[Check::kForward] = {3, 1};
  conclude(verdict, 3);
  const Json json = to_json(verdict);
  EXPECT_EQ(json["verdict"], "REJECT");
  EXPECT_EQ(json["reasons"][0]["code"], "forward");
  EXPECT_EQ(json["reasons"][0]["class"], "fraud");
  EXPECT_EQ(json["coverage"], parse_json(R"({"cells":10,"asked":3,"checked":2,"unanswered":[[4,1]]})"));
  EXPECT_EQ(json["sampled"][0]["replay"], std::string(64, '0'));
  EXPECT_EQ(json["sampled"][1],
            parse_json(R"({"block":2,"step_block":0,"result":"rejected","replay":null})"));
  EXPECT_EQ(json["sampled"][2]["result"], "unanswered");
  EXPECT_EQ(json["checks"]["forward"], parse_json(R"({"done":3,"failed":1})"));
  const std::string text = describe(verdict);
  EXPECT_EQ(text.find("REJECT: 2 of 3 cells"), 0u);
  EXPECT_NE(text.find("not checked: data: no --data"), std::string::npos);
}

}  // namespace
}  // namespace aftune::audit
