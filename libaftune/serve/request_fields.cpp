#include "serve/request_fields.h"

#include "base/printable.h"

namespace aftune::serve {

RequestError::RequestError(std::string field, std::string_view why)
    : Error(Fault::kUsage, field.empty() ? std::string(why) : cat(field, ": ", why)),
      field_(std::move(field)) {}

RequestFields::RequestFields(const Json& object) : object_(object) {
  if (!object.is_object()) throw RequestError("", "not a JSON object");
}

const Json* RequestFields::find(std::string_view key) {
  seen_.emplace(key);
  const auto found = object_.find(key);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::int64_t RequestFields::integer(std::string_view key, std::int64_t otherwise, std::int64_t least,
                                    std::int64_t most) {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_number_integer()) throw RequestError(std::string(key), "not an integer");
  // What is beyond 2^63 is beyond every bound.
  const bool large = value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX;
  if (large || value->get<std::int64_t>() < least || value->get<std::int64_t>() > most)
    throw RequestError(std::string(key), cat(value->dump(), " is not within ", least, " and ", most));
  return value->get<std::int64_t>();
}

double RequestFields::real(std::string_view key, double otherwise) {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_number()) throw RequestError(std::string(key), "not a number");
  return value->get<double>();
}

bool RequestFields::boolean(std::string_view key, bool otherwise) {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) throw RequestError(std::string(key), "not true or false");
  return value->get<bool>();
}

std::string RequestFields::text(std::string_view key, std::size_t most_bytes) {
  const Json* value = find(key);
  if (value == nullptr) return "";
  if (!value->is_string()) throw RequestError(std::string(key), "not a string");
  std::string text = value->get<std::string>();
  if (text.size() > most_bytes)
    throw RequestError(std::string(key), cat(text.size(), " bytes, more than ", most_bytes));
  return text;
}

void RequestFields::done() const {
  for (const auto& [key, value] : object_.items())
    if (!seen_.contains(key)) throw RequestError(printable(key), "not a known field");
}

}  // namespace aftune::serve
