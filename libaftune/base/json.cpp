#include "base/json.h"

#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/printable.h"

namespace aftune {
namespace {

// Builds the value while it is read, bounded, and refuses the duplicate keys that nlohmann's own builders
// merge. (Its builder with a callback, which could refuse them too, walks over the whole list after each
// object in it: the square of its length.) The reader is iterative, so depth costs no stack; it is bounded
// all the same.
class StrictBuilder : public nlohmann::json_sax<Json> {
 public:
  explicit StrictBuilder(const JsonLimits& limits) : limits_(limits) {}
  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(std::int64_t value) override { return add(value); }
  bool number_unsigned(std::uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(Json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    count();
    const auto [member, fresh] = open_.back()->get_ref<Json::object_t&>().try_emplace(name);
    if (!fresh) fail(Fault::kEvidence, "duplicate JSON key \"", printable(name), '"');
    member_ = &member->second;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& e) override {
    if (dynamic_cast<const nlohmann::json::parse_error*>(&e) == nullptr)
      fail(Fault::kEvidence, "not JSON: a number is out of range");
    fail(Fault::kEvidence, "not JSON: syntax error at byte ", position);
  }

 private:
  void count() {
    if (++values_ > limits_.max_values)
      fail(Fault::kEvidence, "JSON of more than ", limits_.max_values, " values");
  }
  // What is open has its place in what encloses it, which does not grow before it is closed.
  Json& place(Json&& value) {
    count();
    if (open_.empty()) return root_ = std::move(value);
    if (!open_.back()->is_array()) return *member_ = std::move(value);
    auto& list = open_.back()->get_ref<Json::array_t&>();
    list.push_back(std::move(value));
    return list.back();
  }
  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json value) {
    if (std::ssize(open_) >= limits_.max_depth)
      fail(Fault::kEvidence, "JSON nested deeper than ", limits_.max_depth);
    open_.push_back(&place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  const JsonLimits& limits_;
  std::size_t values_ = 0;
  Json root_;
  std::vector<Json*> open_;  // from the outermost inwards
  Json* member_ = nullptr;   // whose value comes next
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
  StrictBuilder builder(limits);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
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
