#include "audit/seal_check.h"

#include <algorithm>

#include "audit/log_check.h"
#include "audit/log_view.h"
#include "base/error.h"
#include "hash/merkle.h"
#include "seal/note.h"

namespace aftune::audit {
namespace {

constexpr std::uint64_t kMaxHashBytes = std::uint64_t{1} << 32;

bool is_there(const fs::path& path) {
  std::error_code code;
  return fs::exists(fs::symlink_status(path, code));
}

// A file of the trace: what is wrong with it is a reason. nullopt after a reason.
template <class Read>
auto read_of_trace(const fs::path& path, Findings& findings, const Read& read)
    -> std::optional<decltype(read())> {
  const std::string name = path.filename().native();
  if (!is_there(path)) {
    findings.add(Code::kAbsent, name, "the file is not there");
    return std::nullopt;
  }
  try {
    return read();
  } catch (const Error& e) {
    if (e.fault() == Fault::kSystem) throw;
    findings.add(Code::kFormat, name, e.what());
    return std::nullopt;
  }
}

std::optional<std::string> note_text(const VerifyOptions& options, Findings& findings) {
  if (options.checkpoint) return read_file(*options.checkpoint, seal::kMaxNoteBytes);
  const fs::path path = trace::Layout{options.trace}.checkpoint();
  return read_of_trace(path, findings, [&] { return read_file(path, seal::kMaxNoteBytes, Links::kRefuse); });
}

std::string signature_problem(const seal::Note& note, const seal::PublicKey& key) {
  switch (seal::check_note(note, key)) {
    case seal::NoteCheck::kValid:
      return "";
    case seal::NoteCheck::kNoSignature:
      return cat("no signature by ", key.vkey());
    case seal::NoteCheck::kBadSignature:
      break;
  }
  return cat("the signature by ", key.name(), " does not verify");
}

// Empty if `text` is a checkpoint that `key` signed under its own name; `sealed` is then filled.
std::string parse_sealed(const std::string& text, const seal::PublicKey& key, Sealed& sealed) {
  const seal::Note note = seal::Note::parse(text);
  if (std::string problem = signature_problem(note, key); !problem.empty()) return problem;
  sealed = {text, seal::Checkpoint::parse(note.text)};
  const std::string prefix = key.name() + "/";
  if (!sealed.checkpoint.origin.starts_with(prefix))
    return cat("origin \"", sealed.checkpoint.origin, "\" is not a run of ", key.name());
  return "";
}

// The hashes of the signed leaves, if leaf-hashes holds them: what has the signed root is what was signed.
std::vector<Digest> signed_hashes(const trace::Layout& layout, const seal::Checkpoint& checkpoint) {
  std::string bytes;
  try {
    bytes = read_file(layout.leaf_hashes(), kMaxHashBytes, Links::kRefuse);
  } catch (const Error&) {
    return {};
  }
  constexpr std::size_t kSize = sizeof(Digest::bytes);
  if (bytes.size() / kSize < checkpoint.size) return {};
  hash::MerkleTree tree;
  for (std::size_t i = 0; i < checkpoint.size; ++i) {
    Digest leaf;
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(i * kSize), kSize, leaf.bytes.begin());
    tree.append(leaf);
  }
  return tree.root() == checkpoint.root ? tree.leaves() : std::vector<Digest>{};
}

// The first line of a log with a wrong root that is not the signed one; where that cannot be told, the first
// that cannot be of any run; else the file.
std::string first_bad_line(const trace::Layout& layout, const seal::Checkpoint& checkpoint,
                           const std::vector<std::string>& leaves) {
  const std::vector<Digest> hashes = signed_hashes(layout, checkpoint);
  for (std::size_t i = 0; i < std::min(hashes.size(), leaves.size()); ++i)
    if (hashes[i] != hash::leaf_hash(leaves[i])) return LogView::line(static_cast<std::int64_t>(i));
  Verdict scratch;
  Findings findings(scratch);
  LogView log(leaves);
  if (check_structure(log, findings)) {
    check_steps(log, findings);
    if (is_plausible_size(log, layout.root)) check_base_digests(log, findings);
    check_export_digests(log, findings);
  }
  for (const Reason& reason : scratch.reasons)
    if (reason.where.starts_with("log line")) return reason.where.substr(0, reason.where.find(' ', 9));
  return "log.jsonl";
}

void check_other_note(const std::string& text, const std::string& where, const VerifyOptions& options,
                      const Sealed& sealed, const hash::MerkleTree& tree, Findings& findings) {
  Sealed other;
  std::string problem;
  try {
    problem = parse_sealed(text, options.key, other);
  } catch (const Error& e) {
    findings.add(Code::kFormat, where, e.what());
    return;
  }
  if (!problem.empty()) {
    findings.failed(Check::kSignature, Code::kSignature, where, problem);
    return;
  }
  const seal::Checkpoint& a = sealed.checkpoint;
  const seal::Checkpoint& b = other.checkpoint;
  if (a.origin != b.origin) return;
  const bool two_roots = a.size == b.size && a.root != b.root;
  if (two_roots || extends(tree, a) != extends(tree, b))
    findings.add(Code::kEquivocation, where,
                 cat("this run is signed with two roots that no log continues: ", to_hex(a.root), " of size ",
                     a.size, " and ", to_hex(b.root), " of size ", b.size));
}

// The cells are drawn from the challenge's note, so it must be this one: one made earlier was known to the
// provider while it could still choose what to sign.
void check_challenged_note(const VerifyOptions& options, const Sealed& sealed, const hash::MerkleTree& tree,
                           Findings& findings) {
  const std::string& note = options.challenge->note;
  std::string text;
  try {
    text = seal::Note::parse(note).text;
  } catch (const Error& e) {
    fail(Fault::kUsage, "the challenge's note: ", e.what());
  }
  if (text == seal::Note::parse(sealed.text).text) return;
  const std::int64_t before = findings.reasons();
  check_other_note(note, "challenge note", options, sealed, tree, findings);
  if (findings.reasons() == before)
    fail(Fault::kUsage, "the challenge was made for another checkpoint than the one that is audited");
}

// The trace's own note beside the auditor's. To be read before the log: what it seals is then there, also
// where another process writes on.
std::optional<std::string> own_note(const VerifyOptions& options, Findings& findings) {
  const fs::path own = trace::Layout{options.trace}.checkpoint();
  if (!options.checkpoint || !is_there(own)) return std::nullopt;
  return read_of_trace(own, findings, [&] { return read_file(own, seal::kMaxNoteBytes, Links::kRefuse); });
}

void check_other_notes(const VerifyOptions& options, const std::optional<std::string>& own,
                       const Sealed& sealed, const hash::MerkleTree& tree, Findings& findings) {
  if (options.challenge) check_challenged_note(options, sealed, tree, findings);
  if (own) check_other_note(*own, "checkpoint", options, sealed, tree, findings);
}

// The proof may be under an earlier note of this run: sealing writes the checkpoint first.
void check_manifest_proof(const trace::Layout& layout, const Sealed& sealed, const hash::MerkleTree& tree,
                          Findings& findings) {
  const fs::path path = layout.manifest_proof();
  if (!is_there(path)) return;
  read_of_trace(path, findings, [&] {
    const auto proof = seal::LeafProof::parse(read_file(path, seal::kMaxProofBytes, Links::kRefuse));
    const auto checkpoint = seal::Checkpoint::parse(seal::Note::parse(proof.note).text);
    const bool proves =
        proof.index == 0 && checkpoint.origin == sealed.checkpoint.origin && extends(tree, checkpoint) &&
        hash::verify_inclusion(tree.leaves()[0], 0, checkpoint.size, proof.proof, checkpoint.root);
    if (!proves)
      findings.add(Code::kEvidence, path.filename().native(), "does not prove the manifest of this log");
    return proves;
  });
}

// "segment-000012.h5" -> 12; -1 for a name that no segment has.
std::int64_t segment_index(const trace::Layout& layout, const std::string& name, std::int64_t count) {
  constexpr std::string_view kPrefix = "segment-", kSuffix = ".h5";
  const std::string digits =
      name.substr(kPrefix.size(), name.size() - std::min(name.size(), kPrefix.size() + kSuffix.size()));
  if (digits.empty() || digits.size() > 15 || digits.find_first_not_of("0123456789") != digits.npos)
    return -1;
  const std::int64_t index = std::stoll(digits);
  return index < count && layout.segment(index).filename() == name ? index : -1;
}

}  // namespace

bool extends(const hash::MerkleTree& tree, const seal::Checkpoint& checkpoint) {
  return checkpoint.size <= tree.size() && tree.root(checkpoint.size) == checkpoint.root;
}

SealedLog cut_to(trace::Log log, hash::MerkleTree tree, const seal::Checkpoint& checkpoint) {
  log.leaves.resize(checkpoint.size);
  const auto unsealed = static_cast<std::int64_t>(tree.size() - checkpoint.size);
  return {std::move(log.leaves), std::move(tree), unsealed};
}

std::optional<Sealed> check_signature(const VerifyOptions& options, Findings& findings) {
  const std::optional<std::string> text = note_text(options, findings);
  return text ? check_note_text(*text, options.key, findings) : std::nullopt;
}

std::optional<Sealed> check_note_text(const std::string& text, const seal::PublicKey& key,
                                      Findings& findings) {
  const std::string where = "checkpoint";
  Sealed sealed;
  try {
    const std::string problem = parse_sealed(text, key, sealed);
    if (!findings.expect(problem.empty(), Check::kSignature, Code::kSignature, where, problem))
      return std::nullopt;
    return sealed;
  } catch (const Error& e) {
    findings.add(Code::kFormat, where, e.what());
    return std::nullopt;
  }
}

std::optional<SealedLog> check_log_root(const VerifyOptions& options, const Sealed& sealed,
                                        Findings& findings, Growth growth) {
  const auto own = own_note(options, findings);
  const trace::Layout layout{options.trace};
  auto log = read_of_trace(layout.log(), findings, [&] { return trace::Log::read(layout.log()); });
  if (!log) return std::nullopt;
  hash::MerkleTree tree = log->tree();
  check_other_notes(options, own, sealed, tree, findings);
  const seal::Checkpoint& checkpoint = sealed.checkpoint;
  if (growth == Growth::kGoesOn && extends(tree, checkpoint)) {
    findings.held(Check::kLogRoot);
    return cut_to(std::move(*log), std::move(tree), checkpoint);
  }
  if (log->torn) {
    findings.add(Code::kFormat, LogView::line(static_cast<std::int64_t>(tree.size())),
                 "does not end in a line feed");
    return std::nullopt;
  }
  if (tree.size() > checkpoint.size && extends(tree, checkpoint)) {
    findings.failed(Check::kClosing, Code::kClosing,
                    LogView::line(static_cast<std::int64_t>(checkpoint.size)),
                    "follows the lines that the checkpoint covers");
    return std::nullopt;
  }
  if (tree.size() != checkpoint.size) {
    findings.failed(Check::kLogRoot, Code::kLogRoot, first_bad_line(layout, checkpoint, log->leaves),
                    cat(tree.size(), " lines, the checkpoint is over ", checkpoint.size));
    return std::nullopt;
  }
  if (tree.root() != checkpoint.root) {
    findings.failed(Check::kLogRoot, Code::kLogRoot, first_bad_line(layout, checkpoint, log->leaves),
                    cat("not the log that was signed: expected root ", to_hex(checkpoint.root), ", found ",
                        to_hex(tree.root())));
    return std::nullopt;
  }
  findings.held(Check::kLogRoot);
  return SealedLog{std::move(log->leaves), std::move(tree)};
}

void check_files(const trace::Layout& layout, const record::Grid& grid, const Sealed& sealed,
                 const hash::MerkleTree& tree, Findings& findings) {
  const std::int64_t count = grid.step_blocks() + 1;
  std::vector<bool> there(static_cast<std::size_t>(count));
  for (const auto& entry : fs::directory_iterator(layout.root)) {
    const std::string name = entry.path().filename().native();
    if (!name.starts_with("segment-") || !name.ends_with(".h5")) continue;
    const std::int64_t index = segment_index(layout, name, count);
    if (index < 0)
      findings.failed(Check::kClosing, Code::kClosing, name, "no segment of this run has this name");
    else
      there[static_cast<std::size_t>(index)] = true;
  }
  for (std::int64_t i = 0; i < count; ++i)
    if (!there[static_cast<std::size_t>(i)])
      findings.add(Code::kAbsent, layout.segment(i).filename().native(), "the file is not there");
  check_manifest_proof(layout, sealed, tree, findings);
}

}  // namespace aftune::audit
