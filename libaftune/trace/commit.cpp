#include "trace/commit.h"

#include "base/error.h"
#include "record/leaves.h"
#include "record/serving.h"
#include "seal/note.h"
#include "trace/leaf_hashes.h"
#include "trace/log.h"

namespace aftune::trace {
namespace {

struct Earlier {
  fs::path path;
  std::string note;
  seal::Checkpoint checkpoint;
};

/// A note of this log by this key. Another key's or run's is not ours to replace or to extend.
Earlier read_earlier(const fs::path& path, Links links, const std::string& origin,
                     const seal::PublicKey& key) {
  const std::string text = read_file(path, seal::kMaxNoteBytes, links);
  return within(path.native(), [&] {
    const auto note = seal::Note::parse(text);
    if (seal::check_note(note, key) != seal::NoteCheck::kValid)
      fail(Fault::kUsage, "is not signed by ", key.vkey());
    auto checkpoint = seal::Checkpoint::parse(note.text);
    if (checkpoint.origin != origin) fail(Fault::kUsage, "seals ", checkpoint.origin, ", not ", origin);
    return Earlier{path, text, std::move(checkpoint)};
  });
}

/// Why the log does not begin with what the earlier checkpoint seals; empty if it does.
std::string contradiction(const Earlier& earlier, const hash::MerkleTree& tree) {
  const std::uint64_t size = earlier.checkpoint.size;
  std::string why;
  if (size > tree.size())
    why = cat("it seals ", size, " leaves, and the log has ", tree.size());
  else if (tree.root(size) != earlier.checkpoint.root)
    why = cat("the log's first ", size, " leaves are not the ones it seals");
  if (why.empty()) return "";
  return cat(earlier.path.native(), ": the log does not extend what this checkpoint seals: ", why,
             "; nothing was signed");
}

/// What sealing needs to know of a log: whose it is, and with which leaf it ends.
struct LogKind {
  std::string run;
  std::optional<std::int64_t> whole_size;  ///< of a training run's log; a serving period's has no such size
};

LogKind read_kind(const fs::path& log) {
  const std::optional<std::string> line = first_line(log);
  if (!line && fs::file_size(log) == 0) fail(Fault::kUsage, log.native(), ": empty");
  if (!line) fail(Fault::kUsage, log.native(), ": the last line is torn; aftune-train --resume mends it");
  return within(cat(log.native(), ": line 1"), [&]() -> LogKind {
    if (record::kind_of_leaf(*line) == "serving-manifest")
      return {record::parse_serving_manifest(*line).run, std::nullopt};
    const record::Manifest manifest = record::parse_manifest(*line);
    return {manifest.run, manifest.grid.log_size()};
  });
}

bool is_closed(const LogKind& kind, const Layout& layout, const HashedLog& log) {
  if (kind.whole_size) return static_cast<std::int64_t>(log.tree.size()) == *kind.whole_size;
  const std::optional<std::string> last = line_ending_at(layout.log(), log.bytes);
  return last && record::kind_of_leaf(*last) == "serving-final";
}

seal::ConsistencyProof prove_extension(const Earlier& since, const seal::Checkpoint& checkpoint,
                                       const hash::MerkleTree& tree, const std::string& note) {
  seal::ConsistencyProof out{since.checkpoint.size, tree.consistency(since.checkpoint.size, tree.size()),
                             note};
  AFTUNE_CHECK(seal::extension_problem(since.checkpoint, checkpoint, out.proof).empty());
  return out;
}

// What an earlier sealing left aside when it was killed.
void remove_leftovers(const Layout& layout) {
  std::vector<fs::path> leftovers;
  for (const fs::path& path : {layout.leaf_hashes(), layout.checkpoint(), layout.manifest_proof()}) {
    const std::string prefix = path.filename().native() + ".tmp.";
    for (const auto& entry : fs::directory_iterator(layout.root))
      if (entry.path().filename().native().starts_with(prefix)) leftovers.push_back(entry.path());
  }
  for (const fs::path& path : leftovers) fs::remove(path);
}

}  // namespace

Commitment commit(const Layout& layout, const seal::SecretKey& key, const CommitOptions& options) {
  const seal::PublicKey& vkey = key.public_key();
  seal::require_use(vkey, seal::KeyUse::kLog);
  if (!fs::is_directory(layout.root)) fail(Fault::kUsage, layout.root.native(), ": not a trace directory");
  if (!fs::exists(layout.log())) fail(Fault::kUsage, layout.log().native(), ": no such file; not a trace");
  const LogKind kind = read_kind(layout.log());
  Commitment made;
  made.checkpoint.origin = cat(vkey.name(), "/", kind.run);
  std::optional<Earlier> since, earlier;
  if (options.since) since = read_earlier(*options.since, Links::kFollow, made.checkpoint.origin, vkey);
  if (since && since->checkpoint.size == 0)
    fail(Fault::kUsage, since->path.native(), ": is of an empty log, which every log extends");

  const FileLock lock(layout.lock());  // only now: what is no trace gets no lock file
  remove_leftovers(layout);
  sync_file(layout.log());  // only what is on disk is signed
  if (fs::exists(fs::symlink_status(layout.checkpoint())))
    earlier = read_earlier(layout.checkpoint(), Links::kRefuse, made.checkpoint.origin, vkey);
  const HashedLog log =
      earlier && !options.rehash ? hash_log_after(layout, earlier->checkpoint) : hash_log(layout.log());
  made.checkpoint.size = log.tree.size();
  made.checkpoint.root = log.tree.root();
  made.closed = is_closed(kind, layout, log);
  made.serving = !kind.whole_size;
  made.hashed = log.hashed;
  for (const auto& note : {earlier, since}) {
    if (note && made.problem.empty()) made.problem = contradiction(*note, log.tree);
  }
  if (!made.problem.empty()) return made;

  const bool same = earlier && earlier->checkpoint.to_text() == made.checkpoint.to_text();
  const std::string note = same ? earlier->note : seal::sign_checkpoint(made.checkpoint, key).to_text();
  const seal::LeafProof proof{.index = 0, .proof = log.tree.inclusion(0, log.tree.size()), .note = note};
  if (since) made.consistency = prove_extension(*since, made.checkpoint, log.tree, note);
  write_file(layout.leaf_hashes(), leaf_hashes_text(log));
  write_file(layout.checkpoint(), note);
  write_file(layout.manifest_proof(), proof.to_text());
  return made;
}

}  // namespace aftune::trace
