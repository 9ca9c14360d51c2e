#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "seal/keys.h"

namespace aftune::seal {

/// The promise that comes with an answer: whatever the log's key seals later has this leaf at this index.
struct Receipt {
  std::string origin;  ///< of the log
  std::uint64_t index = 0;
  Digest leaf;                ///< RFC 6962 hash of the leaf
  Digest model;               ///< root of the served tensors
  Digest request;             ///< plain digest of the request, which the client can make
  Digest answer;              ///< plain digest of the answer
  std::int64_t time = 0;      ///< unix seconds
  std::int64_t merge_by = 0;  ///< a checkpoint that seals the leaf is there by then

  /// What is signed: one line each, after "aftune-receipt/1". No checkpoint reads like it, whose second line
  /// is a number.
  std::string to_text() const;
  friend bool operator==(const Receipt&, const Receipt&) = default;
};

/// A receipt with the line that signs it, as of a signed note.
struct SignedReceipt {
  Receipt receipt;
  std::string key;  ///< name of the key
  std::uint32_t id = 0;
  Signature signature{};

  Json to_json() const;
  /// Strict inverse. Throws Error{kEvidence}.
  static SignedReceipt from_json(const Json& json);
  [[nodiscard]] bool verify(const PublicKey& by) const;
};

/// Throws Error{kUsage} if the key is for another use.
SignedReceipt sign_receipt(const Receipt& receipt, const SecretKey& key);

}  // namespace aftune::seal
