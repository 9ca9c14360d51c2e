#include "trace/leaf_hashes.h"

#include <cstring>

#include "base/error.h"
#include "trace/log.h"

namespace aftune::trace {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 32;
constexpr std::size_t kHashBytes = sizeof(Digest::bytes);
constexpr std::size_t kLengthBytes = 8;

struct Stored {
  hash::MerkleTree tree;
  std::optional<std::uint64_t> log_bytes;  ///< files of an earlier form do not say it
};

// Nothing rests on the file: one that cannot be read is as good as none.
std::optional<Stored> read_stored(const fs::path& path) {
  std::string text;
  try {
    text = read_file(path, kMaxBytes, Links::kRefuse);
  } catch (const Error&) {
    return std::nullopt;
  }
  Stored out;
  if (text.size() % kHashBytes == kLengthBytes) {
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < kLengthBytes; ++i)
      bytes = bytes << 8 | static_cast<unsigned char>(text[text.size() - 1 - i]);
    out.log_bytes = bytes;
  } else if (text.size() % kHashBytes != 0) {
    return std::nullopt;
  }
  for (std::size_t at = 0; at + kHashBytes <= text.size(); at += kHashBytes) {
    Digest leaf;
    std::memcpy(leaf.bytes.data(), text.data() + at, kHashBytes);
    out.tree.append(leaf);
  }
  return out;
}

hash::MerkleTree first_leaves(const hash::MerkleTree& tree, std::uint64_t size) {
  if (tree.size() == size) return tree;
  hash::MerkleTree out;
  for (std::size_t i = 0; i < size; ++i) out.append(tree.leaves()[i]);
  return out;
}

void require_whole(const Log& log, const fs::path& path) {
  if (log.torn) fail(Fault::kUsage, path.native(), ": the last line is torn; aftune-train --resume mends it");
}

std::uint64_t bytes_of(const std::vector<std::string>& lines) {
  std::uint64_t bytes = 0;
  for (const std::string& line : lines) bytes += line.size() + 1;
  return bytes;
}

bool is_leaf(const std::optional<std::string>& line, const Digest& leaf) {
  return line && hash::leaf_hash(*line) == leaf;
}

// `tree` is of the sealed lines, the first `bytes` bytes of the log.
HashedLog extended(HashedLog log, const std::vector<std::string>& lines, std::size_t from) {
  for (std::size_t i = from; i < lines.size(); ++i) log.tree.append(hash::leaf_hash(lines[i]));
  log.hashed = lines.size() - from;
  return log;
}

}  // namespace

HashedLog hash_log(const fs::path& path) {
  const Log log = Log::read(path);
  require_whole(log, path);
  return extended({.bytes = bytes_of(log.leaves)}, log.leaves, 0);
}

HashedLog hash_log_after(const Layout& layout, const seal::Checkpoint& sealed) {
  const fs::path path = layout.log();
  const std::optional<Stored> stored = read_stored(layout.leaf_hashes());
  const bool is_sealed = stored && sealed.size != 0 && sealed.size <= stored->tree.size() &&
                         stored->tree.root(sealed.size) == sealed.root;
  if (!is_sealed) return hash_log(path);
  hash::MerkleTree tree = first_leaves(stored->tree, sealed.size);
  const Digest first = tree.leaves().front(), last = tree.leaves().back();
  if (stored->tree.size() == sealed.size && stored->log_bytes) {
    const std::uint64_t bytes = *stored->log_bytes;
    if (!is_leaf(first_line(path), first) || !is_leaf(line_ending_at(path, bytes), last))
      return hash_log(path);
    const Log rest = Log::read_after(path, bytes, sealed.size);
    require_whole(rest, path);
    return extended({.tree = std::move(tree), .bytes = bytes + bytes_of(rest.leaves)}, rest.leaves, 0);
  }
  // Sealing was cut off after it had written the hashes of more lines than it signed, and the file tells only
  // where those end.
  const Log log = Log::read(path);
  require_whole(log, path);
  const auto count = static_cast<std::size_t>(sealed.size);
  if (log.leaves.size() < count || !is_leaf(log.leaves.front(), first) ||
      !is_leaf(log.leaves[count - 1], last))
    return hash_log(path);
  return extended({.tree = std::move(tree), .bytes = bytes_of(log.leaves)}, log.leaves, count);
}

std::string leaf_hashes_text(const HashedLog& log) {
  std::string text;
  for (const Digest& leaf : log.tree.leaves()) text += as_text(as_bytes(leaf));
  for (std::size_t i = 0; i < kLengthBytes; ++i) text += static_cast<char>(log.bytes >> 8 * i & 255);
  return text;
}

}  // namespace aftune::trace
