#include "audit/evidence_check.h"

#include "base/error.h"
#include "hash/merkle.h"
#include "seal/note.h"

namespace aftune::audit {
namespace {

// The same run signed with another root at the same size has two histories; of different sizes only a proof
// could tell.
bool contradicts(const seal::Checkpoint& a, const seal::Checkpoint& b) {
  return a.origin == b.origin && a.size == b.size && a.root != b.root;
}

// Empty if `text` is the audited note or says the same; else what is wrong with it.
std::optional<Reason> other_note(const std::string& text, const std::string& where,
                                 const VerifyOptions& options, const Sealed& sealed) {
  try {
    const seal::Note note = seal::Note::parse(text);
    if (note.text == seal::Note::parse(sealed.text).text) return std::nullopt;
    if (seal::check_note(note, options.key) == seal::NoteCheck::kValid &&
        contradicts(seal::Checkpoint::parse(note.text), sealed.checkpoint))
      return Reason{Code::kEquivocation, where, "this run is signed with two roots of one size"};
  } catch (const Error& e) {
    return Reason{Code::kFormat, where, e.what()};
  }
  return Reason{Code::kAbsent, where, "is of another checkpoint than the challenge's"};
}

// Nothing is listed on the manifest's word alone: a step block may claim any number of steps.
std::optional<std::int64_t> missing_leaf(const LogView& log, const Cell& cell) {
  const record::Grid& grid = log.grid();
  const std::int64_t first = grid.step_begin(cell.step_block);
  if (grid.step_end(cell.step_block) - first > log.leaves_at_hand()) return grid.step_leaf(first);
  for (const std::int64_t leaf : leaves_of_cells(grid, {cell}))
    if (!log.has(leaf)) return leaf;
  return std::nullopt;
}

}  // namespace

bool check_evidence_note(const VerifyOptions& options, const EvidenceFile& evidence, const Sealed& sealed,
                         Findings& findings) {
  if (options.checkpoint) {
    const std::string own = read_file(*options.checkpoint, seal::kMaxNoteBytes);
    if (const auto reason = other_note(own, "checkpoint", options, sealed)) {
      if (reason->code != Code::kEquivocation)
        fail(Fault::kUsage, "the challenge was made for another checkpoint than the one given");
      findings.add(reason->code, reason->where, reason->detail);
    }
  }
  const auto reason = other_note(evidence.index().note, "evidence note", options, sealed);
  if (reason) findings.add(reason->code, reason->where, reason->detail);
  return !reason;
}

std::optional<std::map<std::int64_t, std::string>> check_opened_leaves(const EvidenceFile& evidence,
                                                                       const Sealed& sealed,
                                                                       Findings& findings) {
  std::map<std::int64_t, std::string> opened;
  const seal::Checkpoint& checkpoint = sealed.checkpoint;
  if (checkpoint.size > static_cast<std::uint64_t>(kMaxJsonInteger)) {
    findings.failed(Check::kClosing, Code::kClosing, "checkpoint", "of more leaves than a run can have");
    return std::nullopt;
  }
  bool all = true;
  for (const OpenedLeaf& leaf : evidence.index().leaves) {
    const auto index = static_cast<std::uint64_t>(leaf.index);
    const bool proved =
        index < checkpoint.size && hash::verify_inclusion(hash::leaf_hash(leaf.text), index, checkpoint.size,
                                                          leaf.proof, checkpoint.root);
    if (proved) {
      findings.held(Check::kLogRoot);
      opened.emplace(leaf.index, leaf.text);
    } else {
      findings.add(Code::kEvidence, cat("evidence ", LogView::line(leaf.index)),
                   "the proof does not show this leaf in the sealed log");
      all = false;
    }
  }
  if (!all) return std::nullopt;
  if (opened.count(0) == 0) {
    findings.add(Code::kAbsent, cat("evidence ", LogView::line(0)), "the manifest is not among the leaves");
    return std::nullopt;
  }
  return opened;
}

std::optional<SealedLog> check_given_log(const fs::path& path, const Sealed& sealed, Findings& findings,
                                         Growth growth) {
  const auto refuse = [&](const std::string& why) {
    findings.add(Code::kUnattributed, "log", why);
    return std::nullopt;
  };
  try {
    trace::Log log = trace::Log::read(path);
    hash::MerkleTree tree = log.tree();
    const seal::Checkpoint& checkpoint = sealed.checkpoint;
    if (growth == Growth::kGoesOn && extends(tree, checkpoint)) {
      findings.held(Check::kLogRoot);
      return cut_to(std::move(log), std::move(tree), checkpoint);
    }
    if (log.torn) return refuse("the last line does not end in a line feed");
    if (tree.size() != checkpoint.size)
      return refuse(cat(tree.size(), " lines, the checkpoint is over ", checkpoint.size));
    if (tree.root() != checkpoint.root)
      return refuse(cat("expected root ", to_hex(checkpoint.root), ", found ", to_hex(tree.root())));
    findings.held(Check::kLogRoot);
    return SealedLog{std::move(log.leaves), std::move(tree)};
  } catch (const Error& e) {
    if (e.fault() != Fault::kEvidence) throw;
    return refuse(without_path(e.what(), path));
  }
}

std::vector<Cell> without_missing_leaves(const LogView& log, const std::vector<Cell>& cells,
                                         Findings& findings, std::vector<CellVerdict>& unanswered) {
  std::vector<Cell> answered;
  for (const Cell& cell : cells) {
    const auto missing = missing_leaf(log, cell);
    if (!missing) {
      answered.push_back(cell);
      continue;
    }
    findings.add(Code::kAbsent, cat("evidence cell ", cell.block, ",", cell.step_block),
                 cat(LogView::line(*missing), " is not in the evidence"));
    unanswered.push_back({cell, CellResult::kUnanswered, {}});
  }
  return answered;
}

}  // namespace aftune::audit
