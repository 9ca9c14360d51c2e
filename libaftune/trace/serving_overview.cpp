#include "trace/serving_overview.h"

#include "base/error.h"
#include "seal/note.h"
#include "trace/journal.h"
#include "trace/log.h"

namespace aftune::trace {
namespace {

void count_leaves(const Log& log, ServingOverview& o) {
  for (std::size_t i = 1; i < log.leaves.size(); ++i)
    within(cat("line ", i + 1), [&] {
      if (i + 1 == log.leaves.size() && record::kind_of_leaf(log.leaves[i]) == "serving-final") {
        o.ended = true;
        return;
      }
      const record::RequestLeaf answer = record::parse_request(log.leaves[i]);
      ++o.answers;
      o.prompt_tokens += answer.prompt_tokens;
      o.answer_tokens += answer.answer_tokens;
    });
}

Json lineage_json(const record::ServingManifest& m) {
  if (!m.lineage) return nullptr;
  return {{"origin", m.lineage->origin}, {"index", m.lineage->index}, {"size", m.lineage->size}};
}

}  // namespace

bool is_serving_trace(const Layout& layout) {
  try {
    const auto line = first_line(layout.log());
    return line && record::kind_of_leaf(*line) == "serving-manifest";
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    return false;
  }
}

ServingOverview serving_overview(const Layout& layout) {
  const Log log = Log::read(layout.log());
  ServingOverview o;
  within(layout.log().native(), [&] {
    if (log.leaves.empty()) fail(Fault::kEvidence, "no whole line");
    o.manifest = within("line 1", [&] { return record::parse_serving_manifest(log.leaves.front()); });
    o.leaves = std::ssize(log.leaves);
    o.log_root = to_hex(log.tree().root());
    o.torn = log.torn;
    count_leaves(log, o);
  });
  o.log_bytes = fs::file_size(layout.log());
  const Journal journal(layout);
  o.journal_lines = journal.size();
  o.journal_bytes = journal.bytes();
  if (fs::exists(layout.checkpoint()))
    within(layout.checkpoint().native(), [&] {
      const std::string note = read_file(layout.checkpoint(), seal::kMaxNoteBytes, Links::kRefuse);
      o.checkpoint = seal::Checkpoint::parse(seal::Note::parse(note).text);
    });
  return o;
}

Json to_json(const ServingOverview& o) {
  const record::ServingManifest& m = o.manifest;
  Json checkpoint;
  if (o.checkpoint)
    checkpoint = {
        {"origin", o.checkpoint->origin}, {"size", o.checkpoint->size}, {"root", to_hex(o.checkpoint->root)}};
  return {
      {"serving",
       {{"run", m.run},
        {"created", m.created},
        {"software", m.software},
        {"config", m.config},
        {"base",
         {{"dtype", name(m.base.dtype)}, {"tensors", m.base.digests.size()}, {"root", to_hex(m.base.root)}}},
        {"tokenizer", to_hex(m.tokenizer)},
        {"eos", m.eos},
        {"default_tokens", m.default_tokens},
        {"most_tokens", m.most_tokens},
        {"layers_per_block", m.layers_per_block},
        {"profile", m.profile},
        {"ops", m.ops},
        {"merge_delay", m.merge_delay},
        {"lineage", lineage_json(m)}}},
      {"log", {{"leaves", o.leaves}, {"root", o.log_root}, {"torn", o.torn}, {"ended", o.ended}}},
      {"checkpoint", std::move(checkpoint)},
      {"counts",
       {{"answers", o.answers},
        {"prompt_tokens", o.prompt_tokens},
        {"answer_tokens", o.answer_tokens},
        {"journal_lines", o.journal_lines}}},
      {"bytes", {{"log", o.log_bytes}, {"journal", o.journal_bytes}}}};
}

std::string describe(const ServingOverview& o) {
  const record::ServingManifest& m = o.manifest;
  std::string text =
      cat("serving    ", m.run, o.ended ? "" : "  (log open)", o.torn ? "  (last line torn)" : "", "\n");
  text += cat("model      ", m.base.digests.size(), " tensors of ", name(m.base.dtype), ", ",
              to_hex(m.base.root), '\n');
  if (m.lineage) text += cat("lineage    ", m.lineage->origin, " leaf ", m.lineage->index, '\n');
  text +=
      cat("numerics   ", m.profile, "\nanswers    ", o.answers, ", ", o.prompt_tokens, " tokens of prompts, ",
          o.answer_tokens, " of answers\nlog        ", o.leaves, " leaves, ", o.log_bytes, " bytes, ",
          o.log_root, "\njournal    ", o.journal_lines, " lines, ", o.journal_bytes, " bytes\ncheckpoint ");
  if (!o.checkpoint) return text + "none\n";
  return text + cat(o.checkpoint->size, " leaves, ", to_hex(o.checkpoint->root), '\n');
}

}  // namespace aftune::trace
