#include "seal/note.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "hash/merkle.h"
#include "seal/lines.h"

namespace aftune::seal {
namespace {

constexpr std::size_t kMaxSignatures = 64;
constexpr std::size_t kMaxProofHashes = 64;                   // a path in a tree of at most 2^64 leaves
constexpr std::size_t kMaxConsistencyHashes = 63;             // C2SP tlog-witness, add-checkpoint
constexpr std::string_view kSignatureMark = "\xe2\x80\x94 ";  // U+2014 and a space
constexpr std::string_view kProofHeader = "c2sp.org/tlog-proof@v1";

// The forms are of bytes that a provider wrote: a bad name in them is evidence, not usage.
void check_evidence_name(std::string_view name) {
  try {
    check_key_name(name);
  } catch (const Error& e) {
    fail(Fault::kEvidence, e.what());
  }
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n'; });
}

void check_note_bytes(std::string_view note) {
  if (note.size() > kMaxNoteBytes)
    fail(Fault::kEvidence, "a note of ", note.size(), " bytes, more than ", kMaxNoteBytes);
  if (!is_utf8(note)) fail(Fault::kEvidence, "a note is not UTF-8");
  if (has_control(note)) fail(Fault::kEvidence, "a note has a control character");
}

NoteSignature parse_signature(std::string_view line) {
  if (!line.starts_with(kSignatureMark))
    fail(Fault::kEvidence, "a note has a line that is no signature line");
  line.remove_prefix(kSignatureMark.size());
  const std::size_t space = line.find(' ');
  if (space == line.npos) fail(Fault::kEvidence, "a signature line of a note has no signature");
  NoteSignature out;
  out.name = line.substr(0, space);
  check_evidence_name(out.name);
  const Bytes blob = within("a signature of a note", [&] { return from_base64(line.substr(space + 1)); });
  if (blob.size() < 5) fail(Fault::kEvidence, "a signature of a note is too short");
  for (int i = 0; i < 4; ++i)
    out.id = out.id << 8 | std::to_integer<std::uint32_t>(blob[static_cast<std::size_t>(i)]);
  out.signature.assign(blob.begin() + 4, blob.end());
  return out;
}

Digest hash_from_text(std::string_view line, std::string_view what) {
  const Bytes raw = within(what, [&] { return from_base64(line); });
  Digest out;
  if (raw.size() != out.bytes.size()) fail(Fault::kEvidence, what, ": ", raw.size(), " bytes instead of 32");
  std::memcpy(out.bytes.data(), raw.data(), raw.size());
  return out;
}

std::string hash_lines(const std::vector<Digest>& hashes) {
  std::string out;
  for (const Digest& hash : hashes) out += to_base64(as_bytes(hash)) + '\n';
  return out;
}

// The hashes of a proof, up to the empty line that ends them.
std::vector<Digest> take_proof_hashes(Lines& lines, std::size_t most) {
  std::vector<Digest> out;
  for (std::string_view line = lines.next(); !line.empty(); line = lines.next()) {
    if (out.size() == most) fail(Fault::kEvidence, "a proof has more than ", most, " hashes");
    out.push_back(hash_from_text(line, "a hash of a proof"));
  }
  return out;
}

std::string take_proof_note(Lines& lines) {
  if (lines.at_end()) fail(Fault::kEvidence, "a proof has no checkpoint");
  check_note_bytes(lines.rest());
  return std::string(lines.rest());
}

std::string signature_line(const NoteSignature& s) {
  Bytes blob;
  for (int shift = 24; shift >= 0; shift -= 8) blob.push_back(static_cast<std::byte>(s.id >> shift & 255));
  blob.insert(blob.end(), s.signature.begin(), s.signature.end());
  return cat(kSignatureMark, s.name, ' ', to_base64(blob), '\n');
}

}  // namespace

Note Note::parse(std::string_view note) {
  check_note_bytes(note);
  const std::size_t split = note.rfind("\n\n");
  if (split == note.npos) fail(Fault::kEvidence, "a note has no empty line before its signatures");
  Note out;
  out.text = note.substr(0, split + 1);
  Lines lines(note.substr(split + 2), "a note");
  do {
    if (out.signatures.size() == kMaxSignatures)
      fail(Fault::kEvidence, "a note has more than ", kMaxSignatures, " signatures");
    out.signatures.push_back(parse_signature(lines.next()));
  } while (!lines.at_end());
  return out;
}

std::string Note::to_text() const {
  std::string out = text + '\n';
  for (const NoteSignature& s : signatures) out += signature_line(s);
  return out;
}

Checkpoint Checkpoint::parse(std::string_view text) {
  Lines lines(text, "a checkpoint");
  Checkpoint out;
  out.origin = lines.next();
  if (out.origin.empty()) fail(Fault::kEvidence, "a checkpoint has no origin");
  out.size = decimal_from_text(lines.next(), "a checkpoint's size");
  out.root = hash_from_text(lines.next(), "a checkpoint's root");
  // C2SP allows extension lines, but nobody could audit what they say.
  if (!lines.at_end()) fail(Fault::kEvidence, "a checkpoint has lines after its root");
  return out;
}

std::string Checkpoint::to_text() const {
  return cat(origin, '\n', size, '\n', to_base64(as_bytes(root)), '\n');
}

NoteCheck check_note(const Note& note, const PublicKey& key) {
  NoteCheck result = NoteCheck::kNoSignature;
  for (const NoteSignature& line : note.signatures) {
    if (line.name != key.name() || line.id != key.id()) continue;
    Signature signature;
    if (line.signature.size() != signature.size()) return NoteCheck::kBadSignature;
    std::memcpy(signature.data(), line.signature.data(), signature.size());
    if (!key.verify(as_bytes(note.text), signature)) return NoteCheck::kBadSignature;
    result = NoteCheck::kValid;
  }
  return result;
}

void require_use(const PublicKey& key, KeyUse use) {
  if (key.use() == use) return;
  fail(Fault::kUsage, "the key of ", key.name(), " is ",
       use == KeyUse::kLog ? "a witness's and seals no log" : "a log's and cosigns nothing");
}

Note sign_checkpoint(const Checkpoint& checkpoint, const SecretKey& key) {
  require_use(key.public_key(), KeyUse::kLog);
  const std::string& origin = checkpoint.origin;
  if (origin.empty() || origin.find('\n') != origin.npos || has_control(origin) || !is_utf8(origin))
    fail(Fault::kUsage, "a checkpoint's origin is not one line of text");
  return sign_text(checkpoint.to_text(), key);
}

Note sign_text(std::string text, const SecretKey& key) {
  Note note;
  note.text = std::move(text);
  const Signature signature = key.sign(as_bytes(note.text));
  const auto bytes = std::as_bytes(std::span(signature));
  note.signatures.push_back({key.public_key().name(), key.public_key().id(), {bytes.begin(), bytes.end()}});
  return note;
}

std::string LeafProof::to_text() const {
  return cat(kProofHeader, "\nindex ", index, '\n', hash_lines(proof), '\n', note);
}

LeafProof LeafProof::parse(std::string_view text) {
  Lines lines(text, "a proof");
  if (lines.next() != kProofHeader)
    fail(Fault::kEvidence, "a proof does not begin with \"", kProofHeader, '"');
  if (lines.next_begins_with("extra "))
    within("a proof's extra line", [&] { from_base64(lines.after("extra")); });
  LeafProof out;
  out.index = decimal_from_text(lines.after("index"), "a proof's index");
  out.proof = take_proof_hashes(lines, kMaxProofHashes);
  out.note = take_proof_note(lines);
  return out;
}

std::string ConsistencyProof::to_text() const {
  return cat("old ", old_size, '\n', hash_lines(proof), '\n', note);
}

ConsistencyProof ConsistencyProof::parse(std::string_view text) {
  Lines lines(text, "a consistency proof");
  ConsistencyProof out;
  out.old_size = decimal_from_text(lines.after("old"), "a consistency proof's old size");
  out.proof = take_proof_hashes(lines, kMaxConsistencyHashes);
  out.note = take_proof_note(lines);
  return out;
}

std::string extension_problem(const Checkpoint& old, const Checkpoint& extended,
                              const std::vector<Digest>& proof) {
  if (old.origin != extended.origin)
    return cat("origin ", extended.origin, " is another log than ", old.origin);
  if (old.size == 0) return "the earlier checkpoint is of an empty log, which every log extends";
  if (old.size > extended.size)
    return cat("it seals ", extended.size, " leaves, the earlier checkpoint ", old.size);
  if (old.size == extended.size && old.root != extended.root)
    return cat("two roots of size ", old.size, ": ", to_hex(old.root), " and ", to_hex(extended.root));
  if (!hash::verify_consistency(old.size, old.root, extended.size, extended.root, proof))
    return cat("the proof does not show that size ", extended.size, " extends size ", old.size);
  return "";
}

}  // namespace aftune::seal
