#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace aftune::model {

/// A config is hostile until shown otherwise: sizes are bounded so that no product of them overflows, and
/// none of them alone takes much memory or time.
inline constexpr std::int64_t kMaxVocab = std::int64_t{1} << 24;
inline constexpr std::int64_t kMaxWidth = std::int64_t{1} << 17;  // also of attention: heads * head_dim
inline constexpr std::int64_t kMaxIntermediate = std::int64_t{1} << 19;
inline constexpr std::int64_t kMaxLayers = 1024;
inline constexpr std::int64_t kMaxPosition = std::int64_t{1} << 24;

/// Reads members of config.json. Unlike Fields it lets unknown members pass: hubs add them at will.
class ConfigReader {
 public:
  explicit ConfigReader(const Json& json) : json_(json) {}

  const Json* find(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  /// Whether it is written, be it as null.
  bool has(const char* key) const { return json_.contains(key); }
  std::int64_t integer(const char* key, std::int64_t fallback, std::int64_t least, std::int64_t most) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_number_integer()) bad(key, "is not an integer");
    if (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(most))
      bad(key, cat("is ", value->get<std::uint64_t>(), ", more than ", most));
    const auto number = value->get<std::int64_t>();
    if (number < least || number > most) bad(key, cat("is ", number, ", not within ", least, " and ", most));
    return number;
  }
  double real(const char* key, double fallback) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_number()) bad(key, "is not a number");
    const auto number = value->get<double>();
    if (!std::isfinite(number)) bad(key, "is not finite");
    return number;
  }
  double positive(const char* key, double fallback) const {
    const double number = real(key, fallback);
    if (number <= 0) bad(key, "is not positive");
    return number;
  }
  /// What a norm adds to a variance.
  float epsilon(const char* key, double fallback) const {
    const auto number = static_cast<float>(positive(key, fallback));
    if (!(number > 0.0f) || !std::isfinite(number)) bad(key, "is not a positive binary32");
    return number;
  }
  bool flag(const char* key, bool fallback) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) bad(key, "is not true or false");
    return value->get<bool>();
  }
  std::string text(const char* key, const char* fallback) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) bad(key, "is not a string");
    return value->get<std::string>();
  }
  [[noreturn]] static void bad(const char* key, std::string_view why) {
    fail(Fault::kEvidence, "config.json: \"", key, "\" ", why);
  }

 private:
  const Json& json_;
};

}  // namespace aftune::model
