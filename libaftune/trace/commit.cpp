#include "trace/commit.h"

#include <optional>

#include "base/error.h"
#include "record/leaves.h"
#include "trace/log.h"

namespace aftune::trace {
namespace {

constexpr std::uint64_t kMaxNoteBytes = std::uint64_t{1} << 16;

/// The checkpoint that is there, or nothing. One that another key or run signed is not ours to replace.
std::optional<seal::Checkpoint> earlier_checkpoint(const fs::path& path, const std::string& origin,
                                                   const seal::PublicKey& key) {
  if (!fs::exists(fs::symlink_status(path))) return std::nullopt;
  return within(path.native(), [&] {
    const auto note = seal::Note::parse(read_file(path, kMaxNoteBytes, Links::kRefuse));
    if (seal::check_note(note, key) != seal::NoteCheck::kValid)
      fail(Fault::kUsage, "exists and is not signed by ", key.vkey());
    auto checkpoint = seal::Checkpoint::parse(note.text);
    if (checkpoint.origin != origin) fail(Fault::kUsage, "seals ", checkpoint.origin, ", not ", origin);
    return std::optional(checkpoint);
  });
}

bool is_extended(const seal::Checkpoint& earlier, const hash::MerkleTree& tree) {
  return earlier.size <= tree.size() && tree.root(earlier.size) == earlier.root;
}

std::string hashes_of(const hash::MerkleTree& tree) {
  std::string bytes;
  for (const Digest& leaf : tree.leaves()) bytes += as_text(as_bytes(leaf));
  return bytes;
}

Log read_whole(const fs::path& path) {
  Log log = Log::read(path);
  if (log.torn) fail(Fault::kUsage, path.native(), ": the last line is torn; aftune-train --resume mends it");
  if (log.leaves.empty()) fail(Fault::kUsage, path.native(), ": empty");
  sync_file(path);  // only what is on disk is signed
  return log;
}

std::uint64_t size_of(const Log& log) {
  std::uint64_t bytes = 0;
  for (const std::string& leaf : log.leaves) bytes += leaf.size() + 1;
  return bytes;
}

}  // namespace

Commitment commit(const Layout& layout, const seal::SecretKey& key) {
  if (!fs::is_directory(layout.root)) fail(Fault::kUsage, layout.root.native(), ": not a trace directory");
  if (!fs::exists(layout.log())) fail(Fault::kUsage, layout.log().native(), ": no such file; not a trace");
  const Log log = read_whole(layout.log());
  const record::Manifest manifest = within(cat(layout.log().native(), ": line 1"),
                                           [&] { return record::parse_manifest(log.leaves.front()); });
  const FileLock lock(layout.lock());  // only now: what is no trace gets no lock file
  if (fs::file_size(layout.log()) != size_of(log))
    fail(Fault::kUsage, layout.log().native(), ": is being written");
  const hash::MerkleTree tree = log.tree();
  Commitment made;
  made.checkpoint = {
      .origin = cat(key.public_key().name(), "/", manifest.run), .size = tree.size(), .root = tree.root()};
  made.closed = static_cast<std::int64_t>(tree.size()) == manifest.grid.log_size();
  const auto earlier = earlier_checkpoint(layout.checkpoint(), made.checkpoint.origin, key.public_key());
  made.extends = !earlier || is_extended(*earlier, tree);
  if (!made.extends) return made;
  const std::string note = seal::sign_checkpoint(made.checkpoint, key).to_text();
  const seal::LeafProof proof{.index = 0, .proof = tree.inclusion(0, tree.size()), .note = note};
  write_file(layout.leaf_hashes(), hashes_of(tree));
  write_file(layout.checkpoint(), note);
  write_file(layout.manifest_proof(), proof.to_text());
  return made;
}

}  // namespace aftune::trace
