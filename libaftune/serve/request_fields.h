#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace aftune::serve {

/// A request that is not taken, by the field that is to blame: "field: why". Error{kUsage}.
class RequestError : public Error {
 public:
  /// With field "" the request as a whole is to blame.
  RequestError(std::string field, std::string_view why);
  /// What OpenAI calls "param".
  const std::string& field() const { return field_; }

 private:
  std::string field_;
};

/// Reads the fields of a request's JSON object, each strictly: of another type, out of range or never asked
/// for, it is a RequestError. null is as good as absent, as clients take it.
class RequestFields {
 public:
  /// Keeps a reference to it.
  explicit RequestFields(const Json& object);

  /// Null if absent.
  const Json* find(std::string_view key);
  std::int64_t integer(std::string_view key, std::int64_t otherwise, std::int64_t least, std::int64_t most);
  double real(std::string_view key, double otherwise);
  bool boolean(std::string_view key, bool otherwise);
  std::string text(std::string_view key, std::size_t most_bytes);
  /// Throws if there is a field that was not read.
  void done() const;

 private:
  const Json& object_;
  std::set<std::string, std::less<>> seen_;
};

}  // namespace aftune::serve
