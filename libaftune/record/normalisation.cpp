#include "record/normalisation.h"

#include <algorithm>
#include <cmath>

#include "base/bytes.h"
#include "base/error.h"
#include "hash/blake3.h"

namespace aftune::record {
namespace {

constexpr std::size_t kMaxChannels = 64;

Json hex_floats(const std::vector<float>& values) {
  Json list = Json::array();
  for (const float value : values) list.push_back(float_hex(value));
  return list;
}

std::vector<float> floats_from(const Json& list) {
  if (list.size() > kMaxChannels) fail(Fault::kEvidence, "images: more than ", kMaxChannels, " channels");
  std::vector<float> values;
  for (const Json& value : list) {
    if (!value.is_string()) fail(Fault::kEvidence, "images: a number is not a string of its bits");
    values.push_back(float_from_hex(value.get_ref<const std::string&>()));
  }
  return values;
}

}  // namespace

bool is_sound(const Normalisation& n) {
  const auto finite = [](float value) { return std::isfinite(value); };
  const auto positive = [](float value) { return std::isfinite(value) && value > 0.0f; };
  return std::isfinite(n.rescale) && n.rescale > 0.0 && !n.mean.empty() && n.mean.size() == n.std.size() &&
         std::all_of(n.mean.begin(), n.mean.end(), finite) &&
         std::all_of(n.std.begin(), n.std.end(), positive);
}

Json to_json(const Normalisation& n) {
  return {{"mean", hex_floats(n.mean)}, {"rescale", double_hex(n.rescale)}, {"std", hex_floats(n.std)}};
}

Digest digest_of(const Normalisation& n) {
  return hash::blake3(canonical_json(to_json(n)));
}

Normalisation normalisation_from_json(const Json& json) {
  Fields fields(json, "images");
  Normalisation n;
  n.mean = floats_from(fields.array("mean"));
  n.rescale = fields.double_bits("rescale");
  n.std = floats_from(fields.array("std"));
  fields.done();
  if (!is_sound(n)) fail(Fault::kEvidence, "images: no constants by which pixels can be normalised");
  return n;
}

}  // namespace aftune::record
