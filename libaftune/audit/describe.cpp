#include <algorithm>
#include <sstream>

#include "audit/verdict.h"
#include "base/error.h"
#include "base/printable.h"

namespace aftune::audit {
namespace {

constexpr std::size_t kLabelWidth = 16;

std::string_view colour_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAccept:
      return "\x1b[1;32m";
    case Outcome::kReject:
      return "\x1b[1;31m";
    case Outcome::kIncomplete:
      break;
  }
  return "\x1b[1;33m";
}

/// Writes the lines of a summary: labels in a column of their own, SGR codes only with colour.
class Lines {
 public:
  explicit Lines(bool colour) : colour_(colour) {}

  void outcome(Outcome outcome, std::string_view rest) {
    out_ << styled(colour_of(outcome), name(outcome)) << ": " << visible(rest) << '\n';
  }
  void heading(std::string_view text) { out_ << '\n' << styled("\x1b[1m", text) << '\n'; }
  void row(std::string_view label, std::string_view text) {
    std::string padded(label);
    padded.resize(std::max(padded.size() + 1, kLabelWidth), ' ');
    out_ << styled("\x1b[2m", padded) << visible(text) << '\n';
  }
  void item(std::string_view text) { out_ << "  " << visible(text) << '\n'; }
  void gap() { out_ << '\n'; }
  std::string text() && { return std::move(out_).str(); }

 private:
  std::string styled(std::string_view code, std::string_view text) const {
    return colour_ ? cat(code, text, "\x1b[0m") : std::string(text);
  }

  std::ostringstream out_;
  bool colour_;
};

void list_reasons(const Verdict& verdict, Lines& lines) {
  for (const ReasonClass c : {ReasonClass::kFraud, ReasonClass::kEvidence, ReasonClass::kAbsent}) {
    bool first = true;
    for (const Reason& reason : verdict.reasons) {
      if (class_of(reason.code) != c) continue;
      if (first) lines.heading(name(c));
      first = false;
      lines.row(cat("  ", name(reason.code)), reason.where);
      lines.row("", reason.detail);
    }
  }
}

std::string checks_line(const std::map<Check, CheckCount>& checks, bool failed) {
  std::string line;
  for (const auto& [check, count] : checks) {
    if ((count.failed != 0) != failed) continue;
    line += cat(line.empty() ? "" : ", ", name(check), ' ', failed ? count.failed : count.done);
    if (failed) line += cat(" of ", count.done);
  }
  return line;
}

void list_tolerance(const NativeFound& native, Lines& lines) {
  lines.row("native", cat(native.machine.device, ", compute capability ", native.machine.capability, ", ",
                          native.machine.library));
  lines.row("tolerance", cat(native.bit_for_bit, " cells bit for bit on the same device, ",
                             native.within_bounds, " within bounds"));
  if (native.within_bounds > 0)
    lines.row("", cat("the loosest is ", native.tolerances.loosest, " of a tensor's size; of one's own ",
                      native.tolerances.worst, " was taken"));
}

}  // namespace

std::string probability_text(double p) {
  std::string text = cat(p);
  return text == "1" && p < 1 ? "0.999999" : text;
}

std::string comparison(const Verdict& verdict) {
  if (!verdict.native) return "exactly";
  const NativeFound& native = *verdict.native;
  if (native.within_bounds > 0) return "within a tolerance";
  return native.bit_for_bit > 0 ? "bit for bit on the same device" : "in native numerics";
}

std::string headline(const Verdict& verdict) {
  const std::string coverage = cat(verdict.checked, " of ", verdict.asked, " cells asked for replayed ",
                                   comparison(verdict), ", of ", verdict.cells, " in the run");
  if (verdict.attacker.empty()) return coverage + "; nothing would be detected";
  return cat(coverage, "; P(detect) ", probability_text(verdict.confidence), " if ", verdict.attacker);
}

std::string describe(const Verdict& verdict, bool colour) {
  Lines lines(colour);
  lines.outcome(verdict.outcome, headline(verdict));
  list_reasons(verdict, lines);
  lines.gap();
  if (!verdict.origin.empty()) {
    lines.row("run", verdict.origin);
    lines.row("root", verdict.root);
  }
  lines.row("seed", verdict.seed_kind);
  if (verdict.native) list_tolerance(*verdict.native, lines);
  if (!verdict.attacker.empty())
    lines.row("P(detect)", cat(probability_text(verdict.one_cell), " if one cell is bad, ",
                               probability_text(verdict.one_column), " if one layer block is throughout"));
  if (const std::string held = checks_line(verdict.checks, false); !held.empty()) lines.row("checks", held);
  if (const std::string failed = checks_line(verdict.checks, true); !failed.empty())
    lines.row("failed", failed);
  if (!verdict.unchecked.empty()) lines.heading("not checked");
  for (const std::string& item : verdict.unchecked) lines.item(item);
  return std::move(lines).text();
}

}  // namespace aftune::audit
