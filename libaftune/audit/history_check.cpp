#include "audit/history_check.h"

#include "base/error.h"
#include "hash/merkle.h"
#include "seal/cosignature.h"
#include "seal/note.h"

namespace aftune::audit {
namespace {

// Of a note that `key` signed; `problem` is filled if it did not.
seal::Checkpoint signed_checkpoint(std::string_view text, const seal::PublicKey& key, std::string& problem) {
  const seal::Note note = seal::Note::parse(text);
  if (seal::check_note(note, key) != seal::NoteCheck::kValid) problem = cat("is not signed by ", key.vkey());
  return seal::Checkpoint::parse(note.text);
}

std::string both(const seal::Checkpoint& a, const seal::Checkpoint& b) {
  return cat(to_hex(a.root), " of size ", a.size, " and ", to_hex(b.root), " of size ", b.size);
}

std::string two_histories(const seal::Checkpoint& a, const seal::Checkpoint& b) {
  return cat("this run is signed with two roots that no log continues: ", both(a, b));
}

}  // namespace

std::string check_extends(std::string_view old_note, std::string_view new_note,
                          const std::vector<Digest>& proof, const seal::PublicKey& key) {
  std::string problem;
  const seal::Checkpoint old = signed_checkpoint(old_note, key, problem);
  if (!problem.empty()) return "the earlier checkpoint " + problem;
  const seal::Checkpoint extended = signed_checkpoint(new_note, key, problem);
  if (!problem.empty()) return "the checkpoint " + problem;
  return seal::extension_problem(old, extended, proof);
}

bool check_witnesses(std::string_view note, const std::vector<std::string>& vkeys, int threshold,
                     const seal::PublicKey& provider, Findings& findings) {
  const std::vector<seal::PublicKey> witnesses = seal::parse_witnesses(vkeys);
  if (threshold < 1 || threshold > std::ssize(witnesses))
    fail(Fault::kUsage, "witnesses: ", threshold, " of ", witnesses.size(), " cannot be asked for");
  for (const seal::PublicKey& witness : witnesses)
    if (witness.key() == provider.key())
      fail(Fault::kUsage, "witness ", witness.name(), " has the provider's own key");
  const seal::Note parsed = seal::Note::parse(note);
  const int count = seal::count_witnesses(parsed, witnesses);
  std::string bad;
  for (const seal::Cosignature& line : seal::check_cosignatures(parsed, witnesses))
    if (!line.valid) bad += cat("; a line by ", line.name, " does not verify");
  if (count < threshold) {
    findings.add(Code::kAbsent, "witnesses",
                 cat(count, " of the ", threshold, " cosignatures asked for", bad));
    return false;
  }
  if (!bad.empty()) findings.unchecked(cat("witnesses: enough cosigned", bad));
  return true;
}

History::History(const VerifyOptions& options, Growth growth) : options_(options), growth_(growth) {
  if (options.consistency && !options.since)
    fail(Fault::kUsage, "a consistency proof says nothing without the earlier checkpoint");
  if (options.since) read_since();
  if (options.known) known_.emplace(*options.known);
}

void History::read_since() {
  const fs::path& path = *options_.since;
  since_ = as_usage([&] {
    const std::string text = read_file(path, seal::kMaxNoteBytes);
    return within(path.native(), [&] {
      std::string problem;
      auto checkpoint = signed_checkpoint(text, options_.key, problem);
      if (!problem.empty()) fail(Fault::kUsage, problem);
      if (checkpoint.size == 0) fail(Fault::kUsage, "is of an empty log, which every log extends");
      return checkpoint;
    });
  });
}

void History::hold_against(const Other& other, const Sealed& sealed, Findings& findings) {
  const seal::Checkpoint& a = sealed.checkpoint;
  const seal::Checkpoint& b = other.checkpoint;
  if (a.origin != b.origin) return;
  // A run that is audited claims to be whole, so nothing of it can have been signed beyond.
  const bool beyond = b.size > a.size && growth_ == Growth::kEnded;
  if (beyond || (b.size == a.size && b.root != a.root))
    findings.add(Code::kEquivocation, other.where, two_histories(a, b));
  else if (b.size != a.size)
    others_.push_back(other);
}

void History::check_notes(const Sealed& sealed, Findings& findings) {
  if (!options_.witnesses.empty())
    witnessed_ =
        check_witnesses(sealed.text, options_.witnesses, options_.witness_threshold, options_.key, findings);
  if (since_) {
    if (since_->origin != sealed.checkpoint.origin)
      fail(Fault::kUsage, options_.since->native(), ": is of ", since_->origin, ", not of ",
           sealed.checkpoint.origin);
    hold_against({"since", *since_}, sealed, findings);
  }
  if (options_.consistency) check_proof(sealed, findings);
  if (!known_) return;
  for (std::size_t i = 0; i < known_->notes().size(); ++i) {
    const KnownNote& known = known_->notes()[i];
    // A line in the auditor's own file convicts no one unless the provider signed it.
    if (seal::check_note(known.note, options_.key) == seal::NoteCheck::kValid)
      hold_against({cat("known note ", i + 1), known.checkpoint}, sealed, findings);
  }
}

void History::check_proof(const Sealed& sealed, Findings& findings) {
  const std::string where = "consistency";
  try {
    const auto body = seal::ConsistencyProof::parse(read_file(*options_.consistency, seal::kMaxProofBytes));
    std::string problem;
    const seal::Checkpoint stated = signed_checkpoint(body.note, options_.key, problem);
    if (problem.empty()) hold_against({where, stated}, sealed, findings);
    if (stated.to_text() != sealed.checkpoint.to_text())
      problem = "the proof is for another checkpoint than the one that is audited";
    else if (body.old_size != since_->size)
      problem = cat("the proof is from size ", body.old_size, ", not from ", since_->size);
    else if (problem.empty())
      problem = seal::extension_problem(*since_, sealed.checkpoint, body.proof);
    // Nobody has signed the proof, so that nobody answers for one that does not hold.
    if (!problem.empty()) findings.add(Code::kUnattributed, where, problem);
    since_proved_ = problem.empty();
  } catch (const Error& e) {
    if (e.fault() != Fault::kEvidence) throw;
    findings.add(Code::kUnattributed, where, e.what());
  }
}

void History::check_log(const Sealed& sealed, const hash::MerkleTree& tree, Findings& findings) const {
  for (const Other& other : others_)
    if (other.checkpoint.size > tree.size())
      say_not_shown(other, findings);
    else if (!extends(tree, other.checkpoint))
      findings.add(Code::kEquivocation, other.where, two_histories(sealed.checkpoint, other.checkpoint));
}

void History::check_without_log(Findings& findings) const {
  for (const Other& other : others_)
    if (other.where != "since" || !since_proved_) say_not_shown(other, findings);
}

// The auditor asked for --since by name.
void History::say_not_shown(const Other& other, Findings& findings) const {
  if (other.where == "since")
    findings.add(Code::kAbsent, other.where, "no log and no proof shows that the audited log continues it");
  else
    findings.unchecked(cat("history: nothing at hand shows that the log continues ", other.where));
}

void History::say_what_was_not_checked(Findings& findings) const {
  if (witnessed_) return;
  findings.unchecked(known_ ? "witnesses: another signed history, shown only to others, would not be seen"
                            : "other-histories: another signed history of this run would not be seen");
}

void History::remember(const Sealed& sealed) {
  if (known_) known_->add(sealed.text);
}

}  // namespace aftune::audit
