#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/files.h"

namespace aftune::seal {

using Signature = std::array<std::uint8_t, 64>;

/// What an Ed25519 key signs. The values are the type bytes of C2SP and part of the key ID, so the same 32
/// bytes in both uses are two keys.
enum class KeyUse : std::uint8_t {
  kLog = 1,      ///< checkpoints of its own logs
  kWitness = 4,  ///< timestamped cosignatures under the checkpoints of others
};

/// An Ed25519 public key with the name it speaks for: C2SP vkey text "<name>+<8 hex>+<base64>".
class PublicKey {
 public:
  /// Throws Error{kEvidence} unless the text (one line, LF allowed) is a well-formed Ed25519 vkey for this
  /// use whose key ID is the hash of its name and key.
  static PublicKey parse(std::string_view vkey, KeyUse use = KeyUse::kLog);
  /// As parse(), for whichever use the text states.
  static PublicKey parse_any(std::string_view vkey);
  /// As parse(), of a file the user named: whatever is wrong is Error{kUsage}.
  static PublicKey read(const fs::path& path, KeyUse use = KeyUse::kLog);
  PublicKey(std::string name, const std::array<std::uint8_t, 32>& key, KeyUse use = KeyUse::kLog);

  const std::string& name() const { return name_; }
  KeyUse use() const { return use_; }
  std::uint32_t id() const { return id_; }
  const std::array<std::uint8_t, 32>& key() const { return key_; }
  std::string vkey() const;
  [[nodiscard]] bool verify(ByteView message, const Signature& signature) const;

 private:
  std::string name_;
  std::array<std::uint8_t, 32> key_;
  KeyUse use_;
  std::uint32_t id_;
};

/// A secret key; its memory is locked, guarded and wiped. File forms: "PRIVATE+KEY+<name>+<8 hex>+<base64>"
/// as x/mod/sumdb/note writes it, or the same seed encrypted under a passphrase (docs/seal.md, "Key files").
class SecretKey {
 public:
  static SecretKey generate(std::string name, KeyUse use = KeyUse::kLog);
  static SecretKey from_seed(std::string name, const std::array<std::uint8_t, 32>& seed,
                             KeyUse use = KeyUse::kLog);
  /// `passphrase` is asked only for an encrypted key. Throws Error{kUsage} on a wrong passphrase and on
  /// anything that is no key file of ours.
  static SecretKey read(const fs::path& path, const std::function<std::string()>& passphrase);
  /// As read(), of the file's text. Which use the key is for, its file says: public_key().use().
  static SecretKey parse(std::string_view text, const std::function<std::string()>& passphrase);

  const PublicKey& public_key() const { return public_; }
  Signature sign(ByteView message) const;
  /// Text of the key file; an empty passphrase writes the plain form. The caller wipes it.
  std::string to_text(std::string_view passphrase) const;

 private:
  struct Wipe {
    void operator()(std::uint8_t* secret) const;
  };
  using Secret = std::unique_ptr<std::uint8_t, Wipe>;  // 64 bytes: seed, public key
  SecretKey(PublicKey key, Secret secret) : public_(std::move(key)), secret_(std::move(secret)) {}

  PublicKey public_;
  Secret secret_;
};

/// The use that a C2SP type byte stands for, or nothing.
std::optional<KeyUse> use_of(std::byte type);

/// A key name is UTF-8 of 1 to 255 bytes without spaces, control characters or '+'. Throws Error{kUsage}.
void check_key_name(std::string_view name);

}  // namespace aftune::seal
