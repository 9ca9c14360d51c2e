#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace aftune {

using Json = nlohmann::json;

/// The largest integer that JSON may carry here: 2^53 - 1, exact in every reader.
inline constexpr std::int64_t kMaxJsonInteger = (std::int64_t{1} << 53) - 1;

struct JsonLimits {
  std::size_t max_bytes = std::size_t{64} << 20;
  int max_depth = 64;
  std::size_t max_values = std::size_t{1} << 23;  ///< each takes some 50 bytes, however short its text
};

/// Parses one JSON text, strictly: well-formed UTF-8, no duplicate key, bounded size and depth.
/// Throws Error{kEvidence}.
Json parse_json(std::string_view text, const JsonLimits& limits = {});

/// RFC 8785 for the subset that is committed to: null, booleans, integers within +-(2^53 - 1), strings,
/// arrays, objects with ASCII keys. Throws Error{kUsage} for anything else (a float, a large integer, bad
/// UTF-8).
std::string canonical_json(const Json& value);

/// JSON text without spaces. Reals are written as the shortest decimal that reads back as the same binary64,
/// what is not finite as null, and ill-formed UTF-8 as U+FFFD.
std::string json_text(const Json& value);

/// Parses a text that must be exactly the canonical form of its parse. Throws Error{kEvidence}.
Json parse_canonical(std::string_view text, const JsonLimits& limits = {});

/// Reads the members of one object strictly: a missing, mistyped or unknown member is Error{kEvidence} that
/// names it. Call done() after the last read: members never asked for are errors too.
class Fields {
 public:
  /// `what` names the object in messages. Throws if `object` is not an object. Keeps a reference to it.
  Fields(const Json& object, std::string what);

  bool has(std::string_view key) const;
  const Json& at(std::string_view key);
  const Json& array(std::string_view key);
  const Json& object(std::string_view key);
  std::string text(std::string_view key, std::size_t max_bytes = std::size_t{1} << 24);
  bool boolean(std::string_view key);
  std::int64_t integer(std::string_view key, std::int64_t least, std::int64_t most = kMaxJsonInteger);
  float float_bits(std::string_view key);
  double double_bits(std::string_view key);
  std::uint64_t u64_bits(std::string_view key);
  Digest digest(std::string_view key);
  std::vector<Digest> digests(std::string_view key, std::size_t count);
  /// Throws if the object has members that were not read.
  void done() const;

 private:
  [[noreturn]] void bad(std::string_view key, std::string_view why) const;
  const Json& object_;
  std::string what_;
  std::set<std::string, std::less<>> seen_;
};

}  // namespace aftune
