#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "seal/keys.h"

// The two text forms of a secret key (docs/seal.md, "Key files").
namespace aftune::seal {

/// Cost of turning a passphrase into a key with Argon2id, one lane.
struct KdfCost {
  std::uint64_t passes = 3;
  std::uint64_t memory_bytes = std::uint64_t{256} << 20;
};

/// What the reader accepts: a key file made by someone else must not take the machine's memory or hours.
inline constexpr KdfCost kMostKdfCost{16, std::uint64_t{1} << 30};

std::string plain_key_text(const PublicKey& key, ByteView seed);
std::string encrypted_key_text(const PublicKey& key, ByteView seed, std::string_view passphrase,
                               const KdfCost& cost = {});

/// Either form. `passphrase` is asked only for the encrypted one. Throws Error{kEvidence} for anything
/// malformed, {kUsage} for a wrong passphrase, {kSystem} without memory.
SecretKey secret_key_from_text(std::string_view text, const std::function<std::string()>& passphrase);

}  // namespace aftune::seal
