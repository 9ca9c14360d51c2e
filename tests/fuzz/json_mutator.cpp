// Changes inputs as JSON, so that what comes out is JSON still: bytes changed at random seldom are, and a
// strict reader is done with them at once. What follows a NUL in the input is left to the plain mutations.
#include <cstring>
#include <random>
#include <vector>

#include "fuzz/json_input.h"

extern "C" std::size_t LLVMFuzzerMutate(unsigned char* data, std::size_t size, std::size_t max_size);

namespace aftune {
namespace {

using Random = std::minstd_rand;

std::size_t below(Random& random, std::size_t count) {
  return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
}

void collect(Json& value, std::vector<Json*>& into) {
  into.push_back(&value);
  if (value.is_structured())
    for (Json& item : value) collect(item, into);
}

std::string mutated(std::string text) {
  const std::size_t size = text.size();
  text.resize(size + 8);
  text.resize(LLVMFuzzerMutate(reinterpret_cast<unsigned char*>(text.data()), size, text.size()));
  return text;
}

// Where readers have their edges.
Json number(Random& random) {
  static const Json edges[] = {0,
                               1,
                               -1,
                               2,
                               255,
                               65535,
                               0x7fffffff,
                               std::int64_t{1} << 32,
                               std::int64_t{1} << 40,
                               kMaxJsonInteger,
                               kMaxJsonInteger + 1,
                               std::uint64_t{1} << 63,
                               ~std::uint64_t{0},
                               0.5,
                               -0.0,
                               1e308,
                               1e-320};
  if (below(random, 3) == 0) return random() % 64;
  return edges[below(random, std::size(edges))];
}

Json other_type(Random& random) {
  const Json kinds[] = {nullptr, true, false, number(random), "", Json::array(), Json::object()};
  return kinds[below(random, std::size(kinds))];
}

void change_scalar(Json& value, Random& random) {
  if (value.is_string())
    value = mutated(value.get<std::string>());
  else if (value.is_boolean())
    value = !value.get<bool>();
  else if (value.is_number_integer() && below(random, 2) == 0)
    value = value.get<std::int64_t>() / 2 + static_cast<std::int64_t>(below(random, 3)) - 1;
  else
    value = number(random);
}

void change_array(Json& value, Random& random, const Json& other) {
  const std::size_t at = value.empty() ? 0 : below(random, value.size());
  const auto place = value.begin() + static_cast<std::ptrdiff_t>(at);
  if (value.empty() || below(random, 3) == 0)
    value.insert(place, other);
  else if (below(random, 2) == 0)
    value.insert(place, Json(*place));
  else
    value.erase(at);
}

void change_object(Json& value, Random& random, const Json& other) {
  if (value.empty()) return;
  auto member = value.begin();
  std::advance(member, static_cast<std::ptrdiff_t>(below(random, value.size())));
  const std::string key = member.key();
  switch (below(random, 3)) {
    case 0:
      value.erase(key);
      break;
    case 1:
      value[key] = other;
      break;
    default: {
      Json item = std::move(value[key]);
      value.erase(key);
      value[mutated(key)] = std::move(item);
    }
  }
}

void change(Json& root, Random& random) {
  std::vector<Json*> values;
  collect(root, values);
  Json& value = *values[below(random, values.size())];
  const Json other = *values[below(random, values.size())];
  if (below(random, 8) == 0)
    value = below(random, 2) == 0 ? other : other_type(random);
  else if (value.is_array())
    change_array(value, random, other);
  else if (value.is_object())
    change_object(value, random, other);
  else
    change_scalar(value, random);
}

}  // namespace
}  // namespace aftune

extern "C" std::size_t LLVMFuzzerCustomMutator(unsigned char* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
  using namespace aftune;
  Random random(seed);
  const std::string_view input = fuzz::text_of(data, size);
  const std::size_t end = std::min(size, input.find('\0'));
  Json json = fuzz::json_of(input.substr(0, end));
  if (json.is_null() || below(random, 8) == 0) return LLVMFuzzerMutate(data, size, max_size);
  for (std::size_t changes = 1 + below(random, 3); changes > 0; --changes) change(json, random);
  const std::string text =
      json.dump(-1, ' ', false, Json::error_handler_t::replace) + std::string(input.substr(end));
  if (text.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, text.data(), text.size());
  return text.size();
}
