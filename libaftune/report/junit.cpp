#include "report/junit.h"

#include "base/error.h"
#include "report/markup.h"

namespace aftune::report {
namespace {

using audit::CellResult;
using audit::Check;
using audit::Outcome;
using audit::Reason;
using audit::Verdict;

enum class Result { kPassed, kFailure, kError, kSkipped };

struct TestCase {
  std::string group = {};
  std::string name = {};
  Result result = Result::kPassed;
  std::string type = {};                  ///< of a failure or error
  std::string message = {};               ///< of anything but a pass
  std::vector<std::string> details = {};  ///< lines below it
};

std::string_view element(Result result) {
  return result == Result::kFailure ? "failure" : result == Result::kError ? "error" : "skipped";
}

std::string line_of(const Reason& reason) {
  return cat(name(reason.code), " (", name(class_of(reason.code)), "): ", reason.where, ": ", reason.detail);
}

/// Fails unless the verdict is ACCEPT: a reason that belongs to no check and no cell must not be lost.
TestCase whole(const Verdict& verdict) {
  TestCase test{.group = "verdict", .name = "verdict"};
  if (verdict.outcome == Outcome::kAccept) return test;
  test.result = verdict.outcome == Outcome::kReject ? Result::kFailure : Result::kError;
  test.type = name(verdict.outcome);
  test.message = headline(verdict);
  for (const Reason& reason : verdict.reasons) test.details.push_back(line_of(reason));
  return test;
}

TestCase of_check(const Verdict& verdict, Check check) {
  TestCase test{.group = "check", .name = std::string(name(check))};
  for (const Reason& reason : verdict.reasons)
    if (name(reason.code) == name(check)) test.details.push_back(line_of(reason));
  const auto found = verdict.checks.find(check);
  const audit::CheckCount count = found == verdict.checks.end() ? audit::CheckCount{} : found->second;
  if (count.failed > 0 || !test.details.empty()) {
    test.result = Result::kFailure;
    test.type = test.name;
    test.message = cat(count.failed, " of ", count.done, " failed");
  } else if (count.done == 0) {
    test.result = Result::kSkipped;
    test.message = "not made";
  }
  return test;
}

bool is_about(const Reason& reason, std::string_view cell) {
  const std::string_view where = reason.where;
  return where.starts_with(cell) && (where.size() == cell.size() || where[cell.size()] == ' ');
}

TestCase of_cell(const Verdict& verdict, const audit::CellVerdict& v) {
  TestCase test{.group = "cell", .name = cat("cell ", v.cell.block, ',', v.cell.step_block)};
  for (const Reason& reason : verdict.reasons)
    if (is_about(reason, test.name)) test.details.push_back(line_of(reason));
  if (v.result == CellResult::kChecked && test.details.empty()) return test;
  const bool unanswered = v.result == CellResult::kUnanswered && test.details.empty();
  test.result = unanswered ? Result::kError : Result::kFailure;
  test.type = unanswered ? "unanswered" : "rejected";
  test.message = unanswered ? "asked for, and not replayed" : "something in it differs";
  return test;
}

std::vector<TestCase> test_cases(const Verdict& verdict) {
  std::vector<TestCase> tests = {whole(verdict)};
  for (int i = 0; i <= static_cast<int>(Check::kExport); ++i)
    tests.push_back(of_check(verdict, static_cast<Check>(i)));
  for (const audit::CellVerdict& v : verdict.sampled) tests.push_back(of_cell(verdict, v));
  for (const std::string& item : verdict.unchecked)
    tests.push_back(
        {.group = "unchecked", .name = item, .result = Result::kSkipped, .message = "not checked"});
  return tests;
}

std::string attribute(std::string_view name, std::string_view value) {
  return cat(' ', name, "=\"", escaped(value), '"');
}

std::string counts(const std::vector<TestCase>& tests) {
  const auto number = [&](Result result) {
    std::int64_t n = 0;
    for (const TestCase& test : tests) n += test.result == result;
    return n;
  };
  return cat(" tests=\"", tests.size(), "\" failures=\"", number(Result::kFailure), "\" errors=\"",
             number(Result::kError), "\" skipped=\"", number(Result::kSkipped), '"');
}

std::string lines_of(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += escaped(line) + '\n';
  return out;
}

std::string text_of(const TestCase& test) {
  const std::string head =
      cat("    <testcase", attribute("classname", "aftune." + test.group), attribute("name", test.name));
  if (test.result == Result::kPassed) return head + "/>\n";
  std::string out = cat(head, ">\n      <", element(test.result), attribute("message", test.message));
  // A skipped case has neither type nor text in the common schemas.
  if (test.result == Result::kSkipped) return out + "/>\n    </testcase>\n";
  out += attribute("type", test.type);
  return cat(out, ">", lines_of(test.details), "</", element(test.result), ">\n    </testcase>\n");
}

std::string properties(const Verdict& verdict) {
  std::string out = "    <properties>\n";
  const auto add = [&](std::string_view name, std::string_view value) {
    out += cat("      <property", attribute("name", name), attribute("value", value), "/>\n");
  };
  add("origin", verdict.origin);
  add("root", verdict.root);
  add("seed_kind", verdict.seed_kind);
  add("comparison", verdict.native ? "tolerance" : "exact");
  for (const auto& [what, digest] : verdict.bound) add("bound." + what, digest);
  return out + "    </properties>\n";
}

/// The summary, line by line: its line ends are ours and stay.
std::string summary(const Verdict& verdict) {
  std::vector<std::string> lines(1);
  for (const char c : describe(verdict)) {
    if (c == '\n')
      lines.emplace_back();
    else
      lines.back() += c;
  }
  lines.pop_back();
  return lines_of(lines);
}

}  // namespace

std::string junit(const Verdict& verdict) {
  const std::vector<TestCase> tests = test_cases(verdict);
  std::string out =
      cat("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"aftune-verify\"", counts(tests),
          ">\n  <testsuite", attribute("name", verdict.origin.empty() ? "aftune-verify" : verdict.origin),
          counts(tests), ">\n", properties(verdict));
  for (const TestCase& test : tests) out += text_of(test);
  return cat(out, "    <system-out>", summary(verdict), "</system-out>\n  </testsuite>\n</testsuites>\n");
}

}  // namespace aftune::report
