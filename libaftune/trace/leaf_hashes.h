#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "hash/merkle.h"
#include "seal/note.h"
#include "trace/layout.h"

namespace aftune::trace {

/// A log as it is to be sealed. The hashes of lines that ./checkpoint seals may come from ./leaf-hashes: what
/// has the signed root is what was signed. Whether the file still holds those lines, the auditor finds out,
/// who hashes all.
struct HashedLog {
  hash::MerkleTree tree = {};
  std::uint64_t bytes = 0;   ///< of the log's lines
  std::uint64_t hashed = 0;  ///< lines that were read and hashed for this
};

/// Hashes every line. Throws as Log::read does, and Error{kUsage} if the last line is torn.
HashedLog hash_log(const fs::path& log);

/// Hashes only the lines that `sealed`, the checkpoint that is there, does not cover, and reads no others if
/// ./leaf-hashes says where they begin. Falls back on hash_log() if ./leaf-hashes is not the sealed one, or
/// if the first or last sealed line gives away that the log was changed.
HashedLog hash_log_after(const Layout& layout, const seal::Checkpoint& sealed);

/// Text of ./leaf-hashes: the 32 bytes of each leaf's hash, then the log's length in bytes as u64
/// little-endian.
std::string leaf_hashes_text(const HashedLog& log);

}  // namespace aftune::trace
