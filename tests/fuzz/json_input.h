#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "fuzz/refuses.h"

namespace aftune::fuzz {

inline std::string_view text_of(const unsigned char* data, unsigned long size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// The input if it is JSON, or null. Bounded, so that a run spends its time on many small inputs.
inline Json json_of(std::string_view input) {
  Json json;
  takes([&] { json = parse_json(input, {.max_bytes = 1 << 20, .max_depth = 64, .max_values = 1 << 16}); });
  return json;
}

/// Canonical form of what is JSON: readers of committed text refuse anything else at once, and a change of a
/// byte would seldom come further.
inline std::string canonical_or_same(std::string_view input) {
  const Json json = json_of(input);
  std::string text(input);
  if (!json.is_null()) takes([&] { text = canonical_json(json); });
  return text;
}

}  // namespace aftune::fuzz
