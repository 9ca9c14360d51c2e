#include "audit/verdict.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"

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
  EXPECT_TRUE(text.ends_with("\nnot checked\n  data: no --data\n"));
}

Verdict whole() {
  Verdict verdict = with(1, {Code::kForward});
  verdict.grid = {.layers = 3, .tied = false, .layers_per_block = 1, .steps = 4, .steps_per_block = 2};
  verdict.sampled = {
      {{1, 0}, CellResult::kChecked, Digest{}}, {{2, 0}, CellResult::kRejected, {}}, {{4, 1}, {}, {}}};
  verdict.confidence = 1.0 / 3;
  verdict.attacker = "at least 5 of 10 cells are bad";
  verdict.one_cell = 0.1;
  verdict.one_column = 1;
  verdict.unchecked = {"data: no --data"};
  verdict.checks[Check::kForward] = {3, 1};
  verdict.origin = "audit.example/acme/run";
  verdict.root = std::string(64, 'a');
  verdict.seed_kind = "fresh";
  verdict.bound = {{"note", std::string(64, 'b')}, {"verifier", "aftune"}};
  conclude(verdict, 3);
  return verdict;
}

/// With the cells of whole() within bounds.
Verdict of_native() {
  Verdict verdict = whole();
  verdict.native = NativeFound{.machine = {"a device", "9.0", "a library"},
                               .bounds = digest_from_hex(std::string(64, 'c')),
                               .bit_for_bit = 0,
                               .within_bounds = verdict.checked,
                               .tolerances = {0.25, 0.01}};
  return verdict;
}

TEST(VerdictFile, OfANativeRunNeverSaysExact) {
  const Verdict verdict = of_native();
  EXPECT_EQ(to_json(whole())["comparison"], "exact");
  EXPECT_EQ(to_json(whole())["tolerance"], nullptr);
  EXPECT_EQ(to_json(verdict)["comparison"], "tolerance");
  EXPECT_EQ(describe(verdict).find("exact"), std::string::npos) << describe(verdict);
  EXPECT_NE(describe(verdict).find("a device, compute capability 9.0, a library"), std::string::npos);
  const std::pair<const char*, Json> kChanges[] = {
      {"/comparison", "exact"},      {"/comparison", "loose"},         {"/tolerance", nullptr},
      {"/tolerance/bit_for_bit", 2}, {"/tolerance/within_bounds", -1}, {"/tolerance/bounds", nullptr},
      {"/tolerance/bounds", "cc"},   {"/tolerance/worst", -0.0},       {"/tolerance/loosest", "0"},
      {"/tolerance/device", 1},      {"/tolerance/surplus", 1}};
  for (const auto& [where, value] : kChanges) {
    Json json = to_json(verdict);
    json[Json::json_pointer(where)] = value;
    EXPECT_THROW(verdict_from_json(json), Error) << where << ' ' << value;
  }
}

TEST(VerdictFile, IsReadBackAsItWasWritten) {
  Verdict early;  // the audit ended before anything was known
  early.seed_kind = "given";
  for (Verdict verdict : {whole(), early, of_native()}) {
    conclude(verdict, verdict.asked);
    const Json json = to_json(verdict);
    EXPECT_EQ(to_json(parse_verdict(json_text(json))), json);
  }
}

TEST(VerdictFile, IsRefusedWhereItContradictsItself) {
  const std::pair<const char*, Json> kChanges[] = {{"/verdict", "ACCEPT"},
                                                   {"/verdict", "INCOMPLETE"},
                                                   {"/verdict", "accept"},
                                                   {"/reasons", Json::array()},
                                                   {"/reasons/0/code", "unknown"},
                                                   {"/reasons/0/class", "absent"},
                                                   {"/reasons/0/where", ""},
                                                   {"/reasons/0/surplus", 1},
                                                   {"/coverage/checked", 2},
                                                   {"/coverage/checked", 4},
                                                   {"/coverage/asked", 11},
                                                   {"/coverage/cells", 11},
                                                   {"/coverage/cells", -1},
                                                   {"/coverage/unanswered", Json::array()},
                                                   {"/grid", nullptr},
                                                   {"/grid/blocks", 6},
                                                   {"/grid/steps", 0},
                                                   {"/grid/steps", std::int64_t{1} << 52},
                                                   {"/grid/layers_per_block", 0},
                                                   {"/sampled/0/block", 3},
                                                   {"/sampled/0/block", 5},
                                                   {"/sampled/2/step_block", 2},
                                                   {"/sampled/1/result", "checked"},
                                                   {"/sampled/1/replay", std::string(64, '0')},
                                                   {"/sampled/0/replay", "00"},
                                                   {"/confidence", 1.5},
                                                   {"/confidence", "1"},
                                                   {"/one_cell", -0.1},
                                                   {"/one_column", -0.0},
                                                   {"/checks/forward/failed", 4},
                                                   {"/checks/backwards", {{"done", 1}, {"failed", 0}}},
                                                   {"/root", "aa"},
                                                   {"/root", std::string(64, 'A')},
                                                   {"/seed_kind", "lucky"},
                                                   {"/unchecked/0", 1},
                                                   {"/bound/note", "b"},
                                                   {"/bound/surplus", "b"},
                                                   {"/surplus", 1}};
  for (const auto& [where, value] : kChanges) {
    Json json = to_json(whole());
    json[Json::json_pointer(where)] = value;
    EXPECT_THROW(verdict_from_json(json), Error) << where << ' ' << value;
  }
  const Json good = to_json(whole());
  for (const auto& [key, value] : good.items()) {
    Json json = good;
    json.erase(key);
    EXPECT_THROW(verdict_from_json(json), Error) << key;
  }
}

// Whatever bytes: a verdict, or Error{kEvidence}; and what is read can be written and read again.
TEST(VerdictFile, AnyByteChangedIsReadOrRefused) {
  const std::string good = json_text(to_json(whole()));
  int refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const char c : {'\0', '"', '9', '-', '\xff'}) {
      std::string text = good;
      text[i] = c;
      try {
        const Json json = to_json(parse_verdict(text));
        EXPECT_EQ(to_json(verdict_from_json(json)), json);
      } catch (const Error& e) {
        EXPECT_EQ(e.fault(), Fault::kEvidence) << e.what();
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 2000);
}

TEST(VerdictFile, AnAcceptHasNoFailedCheck) {
  Verdict verdict = whole();
  verdict.reasons.clear();
  verdict.sampled.resize(1);
  conclude(verdict, 1);
  ASSERT_EQ(verdict.outcome, Outcome::kAccept);
  EXPECT_THROW(verdict_from_json(to_json(verdict)), Error);
  verdict.checks[Check::kForward].failed = 0;
  EXPECT_EQ(verdict_from_json(to_json(verdict)).outcome, Outcome::kAccept);
}

TEST(Describe, SaysOutcomeCoverageAndConfidenceFirst) {
  const std::string text = describe(whole());
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "REJECT: 1 of 3 cells asked for replayed exactly, of 10 in the run; P(detect) 0.333333 if at "
            "least 5 of 10 "
            "cells are bad");
}

TEST(Describe, NeverRoundsAProbabilityUpToOne) {
  EXPECT_EQ(probability_text(1), "1");
  EXPECT_EQ(probability_text(0.99999999), "0.999999");
  EXPECT_EQ(probability_text(0.975177), "0.975177");
}

TEST(Describe, HasNoControlCharacterOfTheVerdict) {
  Verdict verdict = whole();
  verdict.reasons[0].detail = verdict.origin = verdict.unchecked[0] = verdict.attacker =
      "a\x1b[2Jb\nREJECT\xff\r";
  const std::string plain = describe(verdict), reference = describe(whole());
  EXPECT_EQ(plain.find_first_of("\x1b\r\xff"), std::string::npos);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), '\n'),
            std::count(reference.begin(), reference.end(), '\n'));
  EXPECT_NE(describe(verdict, true).find("\x1b[1;31mREJECT\x1b[0m"), std::string::npos);
}

}  // namespace
}  // namespace aftune::audit
