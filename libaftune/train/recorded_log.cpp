#include "train/recorded_log.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"

namespace aftune::train {
namespace {

// "lr, seed": the members at which two leaves part, one level into objects.
std::string differing_members(const Json& ours, const Json& theirs, const std::string& prefix = "") {
  std::string names;
  const auto note = [&](const std::string& name) { names += (names.empty() ? "" : ", ") + prefix + name; };
  for (const auto& [key, value] : ours.items()) {
    const auto other = theirs.find(key);
    if (other != theirs.end() && *other == value) continue;
    if (other != theirs.end() && value.is_object() && other->is_object() && prefix.empty())
      names += (names.empty() ? "" : ", ") + differing_members(value, *other, key + ".");
    else
      note(key);
  }
  for (const auto& [key, value] : theirs.items())
    if (!ours.contains(key)) note(key);
  return names;
}

}  // namespace

RecordedLog::RecordedLog(const trace::Layout& layout) : path_(layout.log()) {
  if (fs::exists(path_)) log_ = trace::Log::read(path_);
  if (fs::exists(layout.checkpoint())) check_extends(layout.checkpoint());
}

void RecordedLog::check_extends(const fs::path& checkpoint) const {
  within(checkpoint.native(), [&] {
    const std::string text = read_file(checkpoint, seal::kMaxNoteBytes, Links::kRefuse);
    const seal::Note note = seal::Note::parse(text);
    const seal::Checkpoint sealed = seal::Checkpoint::parse(note.text);
    check_origin(note, sealed.origin);
    if (sealed.size > log_.leaves.size())
      fail(Fault::kUsage, "seals ", sealed.size, " leaves, and the log has ", log_.leaves.size());
    if (log_.tree().root(sealed.size) != sealed.root)
      fail(Fault::kUsage, "the log's first ", sealed.size, " leaves are not those that it seals");
  });
}

// Without the key the signature cannot be checked, but whose it says it is, and of which run, can.
void RecordedLog::check_origin(const seal::Note& note, const std::string& origin) const {
  if (log_.leaves.empty()) return;
  const std::string run =
      within(cat(path_.native(), ": line 1"), [&] { return record::parse_manifest(log_.leaves[0]); }).run;
  if (!origin.ends_with("/" + run)) fail(Fault::kUsage, "seals ", origin, ", and the log is of run ", run);
  const std::string signer = origin.substr(0, origin.size() - run.size() - 1);
  const bool is_signed =
      std::any_of(note.signatures.begin(), note.signatures.end(), [&](const seal::NoteSignature& line) {
        return line.name == signer && line.signature.size() == sizeof(seal::Signature);
      });
  if (!is_signed) fail(Fault::kUsage, "has no signature by ", signer, ", whose log it says it is");
}

bool RecordedLog::confirms(std::int64_t index, const std::string& ours) const {
  if (!has(index)) return false;
  if (leaf(index) == ours) return true;
  const Json theirs =
      within(cat(path_.native(), ": line ", index + 1), [&] { return parse_canonical(leaf(index)); });
  fail(Fault::kUsage, path_.native(), ": line ", index + 1, ": this run is not the recorded one; different: ",
       theirs.is_object() ? differing_members(Json::parse(ours), theirs) : "everything");
}

std::optional<record::Manifest> recorded_manifest(const fs::path& trace) {
  const fs::path path = trace::Layout{trace}.log();
  if (!fs::exists(path)) return std::nullopt;
  const trace::Log log = trace::Log::read(path);
  if (log.leaves.empty()) return std::nullopt;
  return within(path.native(), [&] { return record::parse_manifest(log.leaves[0]); });
}

}  // namespace aftune::train
