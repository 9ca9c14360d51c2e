#include "model/image_processor.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/error.h"
#include "base/json.h"

namespace aftune::model {
namespace {

constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 20;

// What transformers takes where nothing is said: IMAGENET_STANDARD and, for DINOv2's (a BitImageProcessor),
// IMAGENET_DEFAULT.
constexpr float kImageNetMean[] = {0.485f, 0.456f, 0.406f}, kImageNetStd[] = {0.229f, 0.224f, 0.225f};
constexpr double kRescale = 1.0 / 255.0;

// Members that are about sizes, or ask for what is always done; and those that are read below.
constexpr std::string_view kKnownSteps[] = {"do_resize", "do_center_crop", "do_convert_rgb", "do_rescale",
                                            "do_normalize"};

[[noreturn]] void bad(std::string_view key, std::string_view why) {
  fail(Fault::kEvidence, kImageProcessor, ": \"", key, "\" ", why);
}

const Json* find(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

bool step(const Json& json, const char* key) {
  const Json* const value = find(json, key);
  if (value == nullptr) return true;
  if (!value->is_boolean()) bad(key, "is not true or false");
  return value->get<bool>();
}

void refuse_other_steps(const Json& json) {
  for (const auto& [key, value] : json.items())
    if (key.starts_with("do_") && value != false && !value.is_null() &&
        std::find(std::begin(kKnownSteps), std::end(kKnownSteps), key) == std::end(kKnownSteps))
      bad(key, "asks for a step that is not supported");
}

// A number for each channel, or one for all.
std::vector<float> by_channel(const Json& json, const char* key, std::size_t channels,
                              std::vector<float> fallback) {
  const Json* const value = find(json, key);
  if (value == nullptr) return fallback;
  const Json list = value->is_array() ? *value : Json(channels, *value);
  if (list.size() != channels) bad(key, cat("has ", list.size(), " numbers for ", channels, " channels"));
  std::vector<float> numbers;
  for (const Json& number : list) {
    if (!number.is_number()) bad(key, "is not a list of numbers");
    numbers.push_back(static_cast<float>(number.get<double>()));
  }
  return numbers;
}

record::Normalisation usual(const Config& config, std::size_t channels) {
  record::Normalisation n{kRescale, std::vector<float>(channels, 0.5f), std::vector<float>(channels, 0.5f)};
  if (config.model_type != "dinov2" || channels != std::size(kImageNetMean)) return n;
  n.mean.assign(std::begin(kImageNetMean), std::end(kImageNetMean));
  n.std.assign(std::begin(kImageNetStd), std::end(kImageNetStd));
  return n;
}

}  // namespace

record::Normalisation parse_normalisation(const std::optional<std::string>& text, const Config& config) {
  AFTUNE_CHECK(config.images.has_value());
  const auto channels = static_cast<std::size_t>(config.images->shape.channels);
  record::Normalisation n = usual(config, channels);
  if (!text) return n;
  const Json json = within(kImageProcessor, [&] { return parse_json(*text, {.max_bytes = kMaxBytes}); });
  if (!json.is_object()) fail(Fault::kEvidence, kImageProcessor, ": not a JSON object");
  refuse_other_steps(json);
  if (const Json* factor = find(json, "rescale_factor"); factor != nullptr) {
    if (!factor->is_number()) bad("rescale_factor", "is not a number");
    n.rescale = factor->get<double>();
  }
  n.mean = by_channel(json, "image_mean", channels, std::move(n.mean));
  n.std = by_channel(json, "image_std", channels, std::move(n.std));
  if (!step(json, "do_rescale")) n.rescale = 1.0;
  if (!step(json, "do_normalize")) {
    n.mean.assign(channels, 0.0f);
    n.std.assign(channels, 1.0f);
  }
  if (!is_sound(n))
    fail(Fault::kEvidence, kImageProcessor, ": no constants by which pixels can be normalised");
  return n;
}

record::Normalisation read_normalisation(const fs::path& model, const Config& config) {
  const fs::path path = model / kImageProcessor;
  std::optional<std::string> text;
  if (fs::exists(path)) text = read_file(path, kMaxBytes);
  return within(model.native(), [&] { return parse_normalisation(text, config); });
}

}  // namespace aftune::model
