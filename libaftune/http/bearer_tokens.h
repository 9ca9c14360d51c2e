#pragma once

#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"

namespace aftune::http {

/// The secrets that clients show as "Authorization: Bearer SECRET". Only their digests are kept.
class BearerTokens {
 public:
  /// One a line, of printable ASCII without spaces, at least 16 characters; empty lines and lines that begin
  /// with # are nothing. Throws Error{kUsage}, also if anybody but the owner may read or write the file.
  static BearerTokens read(const fs::path& path);
  /// Takes the same time whichever token is right, or nearly.
  [[nodiscard]] bool allow(std::string_view authorization) const;

 private:
  std::vector<Digest> digests_;
};

}  // namespace aftune::http
