#include "report/page.h"

#include <cmath>

#include "base/error.h"
#include "report/figures.h"
#include "report/markup.h"
#include "report/page_style.h"

namespace aftune::report {
namespace {

using audit::Outcome;
using audit::ReasonClass;
using audit::Verdict;

/// Rows that the table of cells lists; a map of any number is readable, a table is not.
constexpr std::size_t kMostRows = 500;

std::string_view tone(Outcome outcome) {
  return outcome == Outcome::kAccept ? "good" : outcome == Outcome::kReject ? "bad" : "open";
}

std::string_view meaning(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAccept:
      return "Every cell asked for was replayed and is right to the bit, and nothing else was found wrong. "
             "What "
             "this leaves open is listed below.";
    case Outcome::kReject:
      return "What was recorded contradicts itself, the policy or the client&#39;s own files.";
    case Outcome::kIncomplete:
      break;
  }
  return "Nothing was shown to be wrong, and not everything that was asked for could be checked.";
}

std::string_view symbol_of(Outcome outcome) {
  return outcome == Outcome::kAccept ? "checked" : outcome == Outcome::kReject ? "rejected" : "unanswered";
}

std::string icon(std::string_view id) {
  return cat("<svg viewBox=\"0 0 20 20\" aria-hidden=\"true\"><use href=\"#", id, "\" class=\"", id,
             "\"/></svg>");
}

std::string section(std::string_view id, std::string_view title, std::string_view body) {
  return cat("<section aria-labelledby=\"", id, "\">\n<h2 id=\"", id, "\">", title, "</h2>\n", body,
             "</section>\n");
}

std::string code(std::string_view text) {
  return cat("<code>", escaped(text), "</code>");
}

std::string tile(std::string_view what, const std::string& number, const std::string& of) {
  return cat("<div class=\"tile\"><dt>", what, "</dt><dd class=\"number\">", number, "</dd><dd class=\"of\">",
             of, "</dd></div>\n");
}

std::string tiles(const Verdict& v) {
  const bool known = !v.attacker.empty();
  const auto p = [&](double value) { return known ? audit::probability_text(value) : std::string("none"); };
  return cat("<dl class=\"tiles\">\n",
             tile("Replayed exactly", cat(v.checked, " of ", v.asked),
                  cat("cells asked for, of ", v.cells, " in the run")),
             tile("Probability of detection", p(v.confidence),
                  known ? cat("if ", escaped(v.attacker)) : "nothing was replayed"),
             tile("If one cell is bad", p(v.one_cell), "the strongest cheat"),
             tile("If one block is bad throughout", p(v.one_column), "a lie in every step block"), "</dl>\n");
}

std::string header(const PageInput& input) {
  const Verdict& v = input.verdict;
  return cat("<header>\n<p class=\"kicker\">Audit of ",
             v.origin.empty() ? "a run without a valid seal" : escaped(v.origin), "</p>\n<h1 class=\"",
             tone(v.outcome), "\">", icon(symbol_of(v.outcome)), name(v.outcome), "</h1>\n<p class=\"lead\">",
             meaning(v.outcome), "</p>\n", tiles(v), "</header>\n");
}

std::string reasons(const Verdict& v) {
  if (v.reasons.empty()) return "";
  std::string out = "<ul class=\"reasons\">\n";
  for (const ReasonClass c : {ReasonClass::kFraud, ReasonClass::kEvidence, ReasonClass::kAbsent})
    for (const audit::Reason& reason : v.reasons) {
      if (class_of(reason.code) != c) continue;
      out += cat("<li class=\"", c == ReasonClass::kAbsent ? "open" : "bad", "\"><span class=\"tag\">",
                 name(reason.code), "</span> <span>(", name(c), ")</span><div>", escaped(reason.where),
                 "</div><div>", code(reason.detail), "</div></li>\n");
    }
  return section("reasons", "Reasons", out + "</ul>\n");
}

std::string legend(const record::Grid& grid) {
  std::string out = "<ul class=\"legend\">\n";
  const std::pair<std::string_view, std::string_view> kEntries[] = {
      {"checked", "replayed, right to the bit"},
      {"partly", "some of the group replayed and right"},
      {"rejected", "rejected"},
      {"unanswered", "asked for, could not be replayed"},
      {"unsampled", "not sampled"}};
  for (const auto& [id, what] : kEntries)
    if (id != "partly" || is_grouped(grid, Width::kNarrow)) out += cat("<li>", icon(id), what, "</li>\n");
  return out + "</ul>\n";
}

/// Both widths of a figure, of which the window shows one.
template <class Draw>
std::string figure(const Draw& draw) {
  return cat("<figure>\n<div class=\"narrow\">\n", draw(Width::kNarrow), "</div>\n<div class=\"wide\">\n",
             draw(Width::kWide), "</div>\n</figure>\n");
}

std::string group_note(const record::Grid& grid) {
  const auto note = [&](Width width, std::string_view shown) {
    if (!is_grouped(grid, width)) return std::string();
    return cat("<p class=\"note ", shown,
               "\">Too many cells to draw one by one: a mark stands for a group of "
               "neighbouring cells and shows the worst in it.</p>\n");
  };
  return note(Width::kNarrow, "narrow") + note(Width::kWide, "wide");
}

std::string cell_table(const Verdict& v) {
  std::string out =
      cat("<details><summary>The ", v.sampled.size(),
          " cells that were asked for, as a table</summary>\n<div class=\"scroll\" tabindex=\"0\" "
          "role=\"region\" aria-label=\"Cells that were asked for\">\n<table><thead><tr><th "
          "scope=\"col\">Cell</th><th scope=\"col\">Layer block</th><th scope=\"col\">Steps</th><th "
          "scope=\"col\">Result</th></tr></thead><tbody>\n");
  for (std::size_t i = 0; i < std::min(v.sampled.size(), kMostRows); ++i) {
    const audit::CellVerdict& cell = v.sampled[i];
    const std::int64_t s = cell.cell.step_block;
    out += cat("<tr><th scope=\"row\">", cell.cell.block, ',', s, "</th><td>",
               block_name(v.grid, cell.cell.block), "</td><td>", v.grid.step_begin(s), "-",
               v.grid.step_end(s) - 1, "</td><td>", name(cell.result), "</td></tr>\n");
  }
  out += "</tbody></table></div>\n";
  if (v.sampled.size() > kMostRows)
    out += cat("<p class=\"note\">The first ", kMostRows, " of ", v.sampled.size(),
               "; the verdict file has all.</p>\n");
  return out + "</details>\n";
}

std::string cells(const Verdict& v) {
  if (v.grid.steps == 0)
    return section("cells", "Cells", "<p>The audit ended before the grid of the run was known.</p>\n");
  const std::string map = figure([&](Width width) { return cell_map(v, width); });
  return section("cells", "Cells: layer blocks by steps",
                 cat(legend(v.grid), map, group_note(v.grid), v.sampled.empty() ? "" : cell_table(v)));
}

std::string evaluations(const RunLog& run) {
  const auto one = [](const EvalLoss& e) {
    return cat("loss ", e.loss, " (perplexity ", std::exp(e.loss), ") after step ", e.step);
  };
  const EvalLoss& first = run.evals.front();
  const EvalLoss& last = run.evals.back();
  return run.evals.size() == 1 ? one(first) : cat(one(first), ", ", one(last));
}

std::string loss(const RunLog* run) {
  if (run == nullptr || run->losses.empty()) return "";
  std::size_t left_out = 0;
  for (const float value : run->losses) left_out += !std::isfinite(value);
  std::string below =
      cat("<p class=\"note\">As recorded: ", run->losses.front(), " at step 0, ", run->losses.back(),
          " at step ", run->losses.size() - 1, ". Only the losses of replayed steps were computed again");
  below += run->evals.empty() ? ".</p>\n" : "; evaluation losses never are.</p>\n";
  if (!run->evals.empty()) below += cat("<p class=\"note\">Evaluation: ", evaluations(*run), ".</p>\n");
  if (left_out > 0) below += cat("<p class=\"note\">", left_out, " losses are no finite number.</p>\n");
  const std::string_view key =
      "<svg viewBox=\"0 0 20 20\" aria-hidden=\"true\"><path class=\"train\" d=\"M1 10h18\"/></svg>";
  const std::string_view eval_key =
      "<svg viewBox=\"0 0 20 20\" aria-hidden=\"true\"><path class=\"eval\" d=\"M1 10h18\"/></svg>";
  const std::string keys = run->evals.empty() ? ""
                                              : cat("<ul class=\"legend\"><li>", key, "training</li><li>",
                                                    eval_key, "evaluation</li></ul>\n");
  return section("loss", "Loss", keys + figure([&](Width width) { return loss_chart(*run, width); }) + below);
}

std::string checks(const Verdict& v) {
  std::string rows;
  for (int i = 0; i <= static_cast<int>(audit::Check::kExport); ++i) {
    const auto check = static_cast<audit::Check>(i);
    const auto found = v.checks.find(check);
    const audit::CheckCount count = found == v.checks.end() ? audit::CheckCount{} : found->second;
    rows += cat("<tr><th scope=\"row\">", name(check), "</th><td class=\"count\">", count.done,
                "</td><td class=\"count", count.failed > 0 ? " bad tag" : "", "\">", count.failed,
                "</td></tr>\n");
  }
  return section(
      "checks", "Checks",
      cat("<table><thead><tr><th scope=\"col\">Check</th><th scope=\"col\" class=\"count\">made</th><th "
          "scope=\"col\" class=\"count\">failed</th></tr></thead><tbody>\n",
          rows, "</tbody></table>\n"));
}

std::string unchecked(const Verdict& v) {
  std::string out = "<ul class=\"unchecked\">\n";
  for (const std::string& item : v.unchecked) out += cat("<li>", escaped(item), "</li>\n");
  if (v.unchecked.empty()) return section("unchecked", "Not checked", "<p>Nothing is listed.</p>\n");
  return section("unchecked", "Not checked", out + "</ul>\n");
}

/// A list of terms and what they are, for section().
class Facts {
 public:
  void add(std::string_view term, const std::string& markup) {
    out_ += cat("<dt>", escaped(term), "</dt><dd>", markup, "</dd>\n");
  }
  std::string text() const { return cat("<dl class=\"facts\">\n", out_, "</dl>\n"); }
  bool empty() const { return out_.empty(); }

 private:
  std::string out_;
};

std::string grid_line(const record::Grid& g) {
  return cat(g.blocks(), " layer blocks of up to ", g.layers_per_block,
             g.layers_per_block == 1 ? " layer" : " layers", ", ", g.step_blocks(), " step blocks of ",
             g.steps_per_block, " steps");
}

void add_recipe(const record::Manifest& m, Facts& facts) {
  const record::Recipe& r = m.recipe;
  facts.add("Recipe", escaped(cat(r.method, ", ", r.optimizer, ", ", r.schedule, " schedule, lr ", r.lr,
                                  r.warmup_steps > 0 ? cat(", warm-up ", r.warmup_steps) : "",
                                  r.clip_norm > 0 ? cat(", clipped at ", r.clip_norm) : "")));
  facts.add("Batches",
            cat(r.steps, " steps of ", r.batch_size, " rows of up to ", r.seq_len, " tokens, seed ", r.seed));
  facts.add("Data", cat(m.data_rows, " rows, root ", code(to_hex(m.data_root))));
  facts.add("Base", r.init ? "drawn from the seed" : cat("root ", code(to_hex(m.base.root))));
  facts.add("Numerics", escaped(cat(m.profile, ", ", m.software)));
}

std::string run_facts(const PageInput& input) {
  const Verdict& v = input.verdict;
  Facts facts;
  facts.add("Log", v.origin.empty() ? "no signed log" : code(v.origin));
  if (!v.root.empty()) facts.add("Root", code(v.root));
  if (v.grid.steps != 0) facts.add("Grid", grid_line(v.grid));
  if (input.run != nullptr) add_recipe(input.run->manifest, facts);
  facts.add(
      "Seed",
      cat(escaped(v.seed_kind),
          v.seed_kind == "given" ? ": protects only if the provider did not know it when signing" : ""));
  return section("run", "The run", facts.text());
}

std::string bound_facts(const Verdict& v) {
  if (v.bound.empty()) return "";
  Facts facts;
  for (const auto& [what, digest] : v.bound) facts.add(what, code(digest));
  return section(
      "bound", "Judged by",
      facts.text() + "<p class=\"note\">BLAKE3 of what was judged; the verifier is the software.</p>\n");
}

std::string footer(const PageInput& input) {
  if (input.signer.empty())
    return "<footer><p>This page shows a verdict file that carries no signature: it is worth what its "
           "source is worth. Anyone who has the trace can repeat the audit.</p></footer>\n";
  return cat("<footer><p>Made from an attestation whose signature by ", escaped(input.signer),
             " was checked. This page itself is not signed.</p></footer>\n");
}

}  // namespace

std::string page(const PageInput& input) {
  const Verdict& v = input.verdict;
  return cat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      name(v.outcome), v.origin.empty() ? "" : ": ", escaped(v.origin), "</title>\n<style>", kPageStyle,
      "</style>\n</head>\n<body>\n", cell_symbols(), header(input), "<main>\n", reasons(v), cells(v),
      loss(input.run), "<div class=\"pair\">\n", checks(v), "<div class=\"stack\">\n", unchecked(v),
      bound_facts(v), "</div>\n</div>\n", run_facts(input), "</main>\n", footer(input), "</body>\n</html>\n");
}

}  // namespace aftune::report
