// Signed notes and what is read from them: checkpoints, signatures, cosignatures, proofs, vkeys.
#include "seal/note.h"

#include "fuzz/json_input.h"
#include "seal/cosignature.h"

namespace aftune {
namespace {

seal::SecretKey key(seal::KeyUse use) {
  return seal::SecretKey::from_seed("audit.example/acme", {1}, use);
}

void read_note(std::string_view text) {
  const seal::Note note = seal::Note::parse(text);
  AFTUNE_CHECK(note.to_text() == text);
  static const seal::PublicKey log = key(seal::KeyUse::kLog).public_key();
  static const std::vector<seal::PublicKey> witnesses = {key(seal::KeyUse::kWitness).public_key()};
  static_cast<void>(seal::check_note(note, log));
  AFTUNE_CHECK(seal::count_witnesses(note, witnesses) <= 1);
  const seal::Checkpoint checkpoint = seal::Checkpoint::parse(note.text);
  AFTUNE_CHECK(note.text.starts_with(checkpoint.to_text()));
}

// Any lines may be what was signed.
void read_signed(std::string_view text) {
  if (!text.ends_with('\n')) return;
  static const seal::SecretKey log = key(seal::KeyUse::kLog), witness = key(seal::KeyUse::kWitness);
  seal::Note note = seal::sign_text(std::string(text), log);
  AFTUNE_CHECK(seal::check_note(note, log.public_key()) == seal::NoteCheck::kValid);
  AFTUNE_CHECK(seal::Note::parse(note.to_text()).text == text);
  const seal::Checkpoint checkpoint = seal::Checkpoint::parse(text);
  note.signatures.push_back(seal::cosign(note, witness, checkpoint.size % 1000));
  AFTUNE_CHECK(seal::count_witnesses(note, {witness.public_key()}) == 1);
  static_cast<void>(seal::extension_problem({checkpoint.origin, 1, {}}, checkpoint, {}));
}

void read_proofs(std::string_view text) {
  fuzz::takes([&] { AFTUNE_CHECK(seal::LeafProof::parse(text).to_text() == text); });
  fuzz::takes([&] {
    const auto proof = seal::ConsistencyProof::parse(text);
    AFTUNE_CHECK(proof.to_text() == text);
    const auto sealed = seal::Checkpoint::parse(seal::Note::parse(proof.note).text);
    static_cast<void>(seal::extension_problem({sealed.origin, proof.old_size, {}}, sealed, proof.proof));
  });
}

}  // namespace
}  // namespace aftune

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  const std::string_view text = fuzz::text_of(data, size);
  fuzz::takes([&] { read_note(text); });
  fuzz::takes([&] { read_signed(text); });
  read_proofs(text);
  fuzz::takes([&] { seal::PublicKey::parse_any(text); });
  return 0;
}
