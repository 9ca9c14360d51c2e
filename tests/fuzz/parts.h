#pragma once

// What the targets that build whole files from an input share.

#include <algorithm>
#include <string_view>

#include "seal/keys.h"

namespace aftune {

/// The provider of every file that a target signs.
inline const seal::SecretKey& provider_key() {
  static const seal::SecretKey key = seal::SecretKey::from_seed("audit.example/acme", {1});
  return key;
}

/// Takes what stands before the next NUL off the front.
inline std::string_view next_part(std::string_view& input) {
  const std::size_t end = std::min(input.size(), input.find('\0'));
  const std::string_view part = input.substr(0, end);
  input.remove_prefix(std::min(input.size(), end + 1));
  return part;
}

}  // namespace aftune
