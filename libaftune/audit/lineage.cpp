#include "audit/lineage.h"

#include "audit/sealed_log.h"
#include "base/error.h"
#include "base/json.h"
#include "hash/merkle.h"
#include "seal/note.h"
#include "trace/log.h"

namespace aftune::audit {
namespace {

constexpr std::size_t kMaxLineageBytes = std::size_t{1} << 20;

}  // namespace

std::string to_text(const LineageProof& lineage) {
  return canonical_json(Json{{"leaf", lineage.leaf}, {"proof", lineage.proof}, {"vkey", lineage.vkey}}) +
         '\n';
}

LineageProof parse_lineage(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  const Json json = parse_json(text, {.max_bytes = kMaxLineageBytes, .max_depth = 2});
  Fields fields(json, "lineage");
  LineageProof out{.vkey = fields.text("vkey", 4096),
                   .leaf = fields.text("leaf", record::kMaxLeafBytes),
                   .proof = fields.text("proof", kMaxLineageBytes)};
  fields.done();
  return out;
}

record::Lineage lineage_of(const LineageProof& lineage, record::TensorList* exported) {
  const auto key = seal::PublicKey::parse(lineage.vkey);
  const auto proof = seal::LeafProof::parse(lineage.proof);
  const auto note = seal::Note::parse(proof.note);
  if (seal::check_note(note, key) != seal::NoteCheck::kValid)
    fail(Fault::kEvidence, "the training run's checkpoint is not signed by ", key.vkey());
  const auto checkpoint = seal::Checkpoint::parse(note.text);
  if (!checkpoint.origin.starts_with(key.name() + "/"))
    fail(Fault::kEvidence, "the training run's checkpoint is of ", checkpoint.origin);
  if (!hash::verify_inclusion(hash::leaf_hash(lineage.leaf), proof.index, checkpoint.size, proof.proof,
                              checkpoint.root))
    fail(Fault::kEvidence, "the proof does not show this leaf in the training run's log");
  *exported = record::parse_exported(lineage.leaf);
  return {.origin = checkpoint.origin,
          .size = static_cast<std::int64_t>(checkpoint.size),
          .root = checkpoint.root,
          .index = static_cast<std::int64_t>(proof.index)};
}

LineageProof prove_lineage(const trace::Layout& layout, const seal::PublicKey& key) {
  const std::string note = read_file(layout.checkpoint(), seal::kMaxNoteBytes, Links::kRefuse);
  const auto checkpoint = within(layout.checkpoint().native(), [&] {
    const auto parsed = seal::Note::parse(note);
    if (seal::check_note(parsed, key) != seal::NoteCheck::kValid)
      fail(Fault::kUsage, "is not signed by ", key.vkey());
    return seal::Checkpoint::parse(parsed.text);
  });
  const trace::Log log = sealed_log(layout, checkpoint);
  if (record::kind_of_leaf(log.leaves.back()) != "final")
    fail(Fault::kUsage, layout.log().native(), ": does not end with what a training run exported");
  const std::uint64_t index = checkpoint.size - 1;
  const seal::LeafProof proof{
      .index = index, .proof = log.tree().inclusion(index, checkpoint.size), .note = note};
  return {.vkey = key.vkey(), .leaf = log.leaves.back(), .proof = proof.to_text()};
}

}  // namespace aftune::audit
