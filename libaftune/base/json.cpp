#include "base/json.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/printable.h"

namespace aftune {
namespace {

// nlohmann's parser is iterative, so depth costs no stack; it is bounded all the same, and duplicate keys,
// which it would silently merge, are refused while they are met.
class StrictParse {
 public:
  explicit StrictParse(const JsonLimits& limits) : limits_(limits) {}

  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    // `depth` counts what encloses the event, so a container that begins is one deeper.
    const bool begins =
        event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (depth + (begins ? 1 : 0) > limits_.max_depth)
      fail(Fault::kEvidence, "JSON nested deeper than ", limits_.max_depth);
    switch (event) {
      case Json::parse_event_t::object_start:
        keys_.emplace_back();
        break;
      case Json::parse_event_t::object_end:
        keys_.pop_back();
        break;
      case Json::parse_event_t::key:
        if (!keys_.back().insert(parsed.get<std::string>()).second)
          fail(Fault::kEvidence, "duplicate JSON key \"", printable(parsed.get<std::string>()), '"');
        break;
      default:
        break;
    }
    if (++values_ > limits_.max_values)
      fail(Fault::kEvidence, "JSON of more than ", limits_.max_values, " values");
    return true;
  }

 private:
  const JsonLimits& limits_;
  std::size_t values_ = 0;
  std::vector<std::set<std::string>> keys_;
};

void check_canonical_subset(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
    case Json::value_t::boolean:
      return;
    case Json::value_t::string:
      if (!is_utf8(value.get_ref<const std::string&>())) fail(Fault::kUsage, "a string is not UTF-8");
      return;
    case Json::value_t::number_integer:
      if (const auto n = value.get<std::int64_t>(); n > kMaxJsonInteger || n < -kMaxJsonInteger)
        fail(Fault::kUsage, "integer ", n, " is beyond 2^53 - 1");
      return;
    case Json::value_t::number_unsigned:
      if (const auto n = value.get<std::uint64_t>(); n > static_cast<std::uint64_t>(kMaxJsonInteger))
        fail(Fault::kUsage, "integer ", n, " is beyond 2^53 - 1");
      return;
    case Json::value_t::array:
      for (const Json& item : value) check_canonical_subset(item);
      return;
    case Json::value_t::object:
      for (const auto& [key, item] : value.items()) {
        // Sorting by bytes equals RFC 8785's sorting by UTF-16 units on ASCII; other keys are never written.
        for (const char c : key)
          if (static_cast<unsigned char>(c) >= 0x80) fail(Fault::kUsage, "object key is not ASCII");
        check_canonical_subset(item);
      }
      return;
    default:
      fail(Fault::kUsage, "canonical JSON holds no floats or binary values");
  }
}

void append_json(std::string& out, const Json& value);

void append_object(std::string& out, const Json& value) {
  char separator = '{';
  for (const auto& [key, item] : value.items()) {
    out += separator;
    out += Json(key).dump();
    out += ':';
    append_json(out, item);
    separator = ',';
  }
  out += value.empty() ? "{}" : "}";
}

void append_array(std::string& out, const Json& value) {
  char separator = '[';
  for (const Json& item : value) {
    out += separator;
    append_json(out, item);
    separator = ',';
  }
  out += value.empty() ? "[]" : "]";
}

// nlohmann's own writer is round-trip but not always shortest.
void append_json(std::string& out, const Json& value) {
  if (value.is_object()) return append_object(out, value);
  if (value.is_array()) return append_array(out, value);
  if (!value.is_number_float() || !std::isfinite(value.get<double>())) {
    out += value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return;
  }
  char digits[32];
  out.append(digits, std::to_chars(digits, digits + sizeof(digits), value.get<double>()).ptr);
}

}  // namespace

Json parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes)
    fail(Fault::kEvidence, "JSON text larger than ", limits.max_bytes, " bytes");
  if (!is_utf8(text)) fail(Fault::kEvidence, "JSON text is not UTF-8");
  try {
    return Json::parse(text.begin(), text.end(), StrictParse(limits));
  } catch (const nlohmann::json::parse_error& e) {
    fail(Fault::kEvidence, "not JSON: syntax error at byte ", e.byte);
  } catch (const nlohmann::json::exception&) {
    fail(Fault::kEvidence, "not JSON: a number is out of range");
  }
}

std::string canonical_json(const Json& value) {
  check_canonical_subset(value);
  return value.dump(-1, ' ', false, Json::error_handler_t::strict);
}

std::string json_text(const Json& value) {
  std::string text;
  append_json(text, value);
  return text;
}

Json parse_canonical(std::string_view text, const JsonLimits& limits) {
  Json value = parse_json(text, limits);
  bool same = false;
  try {
    same = canonical_json(value) == text;
  } catch (const Error& e) {
    fail(Fault::kEvidence, "not canonical JSON: ", e.what());
  }
  if (!same) fail(Fault::kEvidence, "not canonical JSON");
  return value;
}

Fields::Fields(const Json& object, std::string what) : object_(object), what_(std::move(what)) {
  if (!object.is_object()) fail(Fault::kEvidence, what_, ": not a JSON object");
}

void Fields::bad(std::string_view key, std::string_view why) const {
  fail(Fault::kEvidence, what_, ": \"", printable(key), "\" ", why);
}

bool Fields::has(std::string_view key) const {
  return object_.find(key) != object_.end();
}

const Json& Fields::at(std::string_view key) {
  const auto found = object_.find(key);
  if (found == object_.end()) bad(key, "is missing");
  seen_.emplace(key);
  return *found;
}

const Json& Fields::array(std::string_view key) {
  const Json& value = at(key);
  if (!value.is_array()) bad(key, "is not an array");
  return value;
}

const Json& Fields::object(std::string_view key) {
  const Json& value = at(key);
  if (!value.is_object()) bad(key, "is not an object");
  return value;
}

std::string Fields::text(std::string_view key, std::size_t max_bytes) {
  const Json& value = at(key);
  if (!value.is_string()) bad(key, "is not a string");
  const auto& text = value.get_ref<const std::string&>();
  if (text.size() > max_bytes) bad(key, "is too long");
  return text;
}

bool Fields::boolean(std::string_view key) {
  const Json& value = at(key);
  if (!value.is_boolean()) bad(key, "is not true or false");
  return value.get<bool>();
}

std::int64_t Fields::integer(std::string_view key, std::int64_t least, std::int64_t most) {
  const Json& value = at(key);
  if (!value.is_number_integer()) bad(key, "is not an integer");
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxJsonInteger))
    bad(key, "is beyond 2^53 - 1");
  const auto number = value.get<std::int64_t>();
  if (number < least || number > most) bad(key, cat("is ", number, ", not within ", least, " and ", most));
  return number;
}

float Fields::float_bits(std::string_view key) {
  const std::string hex = text(key);
  return within(cat(what_, ": \"", key, '"'), [&] { return float_from_hex(hex); });
}

double Fields::double_bits(std::string_view key) {
  const std::string hex = text(key);
  return within(cat(what_, ": \"", key, '"'), [&] { return double_from_hex(hex); });
}

std::uint64_t Fields::u64_bits(std::string_view key) {
  const std::string hex = text(key);
  return within(cat(what_, ": \"", key, '"'), [&] { return u64_from_hex(hex); });
}

Digest Fields::digest(std::string_view key) {
  const std::string hex = text(key);
  return within(cat(what_, ": \"", key, '"'), [&] { return digest_from_hex(hex); });
}

std::vector<Digest> Fields::digests(std::string_view key, std::size_t count) {
  const Json& list = array(key);
  if (list.size() != count) bad(key, cat("has ", list.size(), " entries, not ", count));
  std::vector<Digest> out;
  out.reserve(count);
  for (const Json& item : list) {
    if (!item.is_string()) bad(key, "has an entry that is not a string");
    out.push_back(within(cat(what_, ": \"", key, '"'),
                         [&] { return digest_from_hex(item.get_ref<const std::string&>()); }));
  }
  return out;
}

void Fields::done() const {
  for (const auto& [key, value] : object_.items())
    if (seen_.find(key) == seen_.end()) bad(key, "is not a known member");
}

}  // namespace aftune
