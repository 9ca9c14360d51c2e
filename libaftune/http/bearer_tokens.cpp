#include "http/bearer_tokens.h"

#include <algorithm>

#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::http {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 20;
constexpr std::size_t kLeastLength = 16;

bool has_scheme(std::string_view word) {
  constexpr std::string_view kScheme = "bearer ";
  return word.size() > kScheme.size() &&
         std::equal(kScheme.begin(), kScheme.end(), word.begin(),
                    [](char wanted, char c) { return wanted == (c >= 'A' && c <= 'Z' ? c + 32 : c); });
}

void check_token(std::string_view token) {
  if (!std::ranges::all_of(token, [](char c) { return c > ' ' && c <= '~'; }))
    fail(Fault::kUsage, "a token is of printable ASCII without spaces");
  if (token.size() < kLeastLength)
    fail(Fault::kUsage, "a token of ", token.size(), " characters; ", kLeastLength, " are the least");
}

}  // namespace

BearerTokens BearerTokens::read(const fs::path& path) {
  const std::string text = read_file(path, kMaxBytes);
  if ((fs::status(path).permissions() & (fs::perms::group_all | fs::perms::others_all)) != fs::perms::none)
    fail(Fault::kUsage, path.native(), ": others than its owner may use this file; chmod 600 it");
  BearerTokens tokens;
  for (std::size_t at = 0, line = 1; at < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view token = std::string_view(text).substr(at, end - at);
    at = end + 1;
    if (token.empty() || token.starts_with('#')) continue;
    within(cat(path.native(), ": line ", line), [&] { check_token(token); });
    tokens.digests_.push_back(hash::blake3(token));
  }
  if (tokens.digests_.empty()) fail(Fault::kUsage, path.native(), ": no token is in it");
  return tokens;
}

// Of digests nothing is learned by how many bytes of them agree, and all of them are looked at whole.
bool BearerTokens::allow(std::string_view authorization) const {
  if (!has_scheme(authorization)) return false;
  const Digest shown = hash::blake3(authorization.substr(std::string_view("bearer ").size()));
  bool right = false;
  for (const Digest& digest : digests_) {
    unsigned difference = 0;
    for (std::size_t i = 0; i < digest.bytes.size(); ++i)
      difference |= static_cast<unsigned>(digest.bytes[i] ^ shown.bytes[i]);
    right |= difference == 0;
  }
  return right;
}

}  // namespace aftune::http
