#include "audit/cosigning.h"

#include <algorithm>

#include "base/error.h"
#include "seal/cosignature.h"

namespace aftune::audit {
namespace {

std::string history_problem(const CosignRequest& request, const seal::Checkpoint& checkpoint,
                            const KnownNotes& known) {
  const KnownNote* last = known.latest(checkpoint.origin);
  if (last == nullptr || last->checkpoint.to_text() == checkpoint.to_text()) return "";
  if (last->checkpoint.size >= checkpoint.size)
    return seal::extension_problem(last->checkpoint, checkpoint, {});
  if (!request.consistency)
    return cat("size ", last->checkpoint.size,
               " of this log was cosigned; no proof that this checkpoint extends it");
  const seal::ConsistencyProof& body = *request.consistency;
  if (seal::Note::parse(body.note).text != checkpoint.to_text()) return "the proof is for another checkpoint";
  if (body.old_size != last->checkpoint.size)
    return cat("the proof is from size ", body.old_size, ", and size ", last->checkpoint.size,
               " was cosigned");
  return seal::extension_problem(last->checkpoint, checkpoint, body.proof);
}

bool is_there(const seal::Note& note, const seal::NoteSignature& line) {
  return std::any_of(note.signatures.begin(), note.signatures.end(), [&](const seal::NoteSignature& other) {
    return other.name == line.name && other.id == line.id && other.signature == line.signature;
  });
}

}  // namespace

Cosigned cosign(const CosignRequest& request, const seal::SecretKey& witness, KnownNotes* known) {
  seal::require_use(witness.public_key(), seal::KeyUse::kWitness);
  seal::Note note = seal::Note::parse(request.note);
  Cosigned out{seal::Checkpoint::parse(note.text), "", ""};
  if (request.log_key && seal::check_note(note, *request.log_key) != seal::NoteCheck::kValid)
    out.problem = "not signed by " + request.log_key->vkey();
  else if (known != nullptr)
    out.problem = history_problem(request, out.checkpoint, *known);
  if (!out.problem.empty()) return out;
  const seal::NoteSignature line = seal::cosign(note, witness, request.time);
  if (!is_there(note, line)) note.signatures.push_back(line);
  out.note = note.to_text();
  static_cast<void>(seal::Note::parse(out.note));  // one line too many is refused, not written
  if (known != nullptr) known->add(request.note);
  return out;
}

}  // namespace aftune::audit
