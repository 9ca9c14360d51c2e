#include "data/image_files.h"

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/printable.h"
#include "data/decode_image.h"
#include "data/image_row.h"
#include "data/row_name.h"
#include "hash/blake3.h"

namespace aftune::data {
namespace {

[[noreturn]] void refuse(std::string_view field, std::string_view why) {
  fail(Fault::kUsage, field, ": ", why);
}

// Below the folder of the data file: a list of somebody else's must not lead to other files.
fs::path path_below(const fs::path& folder, const Json& value) {
  if (!value.is_string()) refuse("image", "not a string");
  const fs::path path = value.get<std::string>();
  if (path.empty() || path.is_absolute() || path.native().find('\0') != std::string::npos ||
      std::find(path.begin(), path.end(), "..") != path.end())
    refuse("image", "not a path below the folder of the data file");
  return folder / path;
}

std::int32_t label_of(const ImageForm& form, const Json& value) {
  if (value.is_string()) {
    const auto found = form.label_ids.find(value.get<std::string>());
    if (found == form.label_ids.end())
      refuse("label", cat('"', printable(value.get<std::string>()), "\" is no class of the model"));
    return found->second;
  }
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= static_cast<std::uint64_t>(form.labels))
    refuse("label", cat("not a name, or a number below the model's ", form.labels, " classes"));
  return value.get<std::int32_t>();
}

}  // namespace

ImageFiles::ImageFiles(const fs::path& path, const ImageForm& form)
    : form_(form), folder_(path.parent_path()), lines_(path) {
  if (form.channels != kDecodedChannels)
    fail(Fault::kUsage, path.native(), ": image files have ", kDecodedChannels, " channels, the model takes ",
         form.channels, ": give a .safetensors file");
  decoder_ = std::make_unique<ImageDecoder>(form.size);
  within(path.native(), [&] {
    for (std::int64_t i = 0; i < rows(); ++i) seen_.push_back(hash::blake3(as_bytes(read(i))));
  });
}

ImageFiles::Named ImageFiles::named(std::int64_t i) const {
  const Json json = as_usage([&] { return parse_json(lines_.row(i), {.max_bytes = 1 << 16}); });
  if (!json.is_object()) fail(Fault::kUsage, "not a JSON object");
  for (const auto& [key, value] : json.items())
    if (key != "image" && key != "label")
      refuse(printable(key), "not a known field (a row has image and label)");
  for (const char* field : {"image", "label"})
    if (!json.contains(field)) refuse(field, "missing");
  return {path_below(folder_, json["image"]), label_of(form_, json["label"])};
}

std::string ImageFiles::read(std::int64_t i) const {
  return within(row_name(i), [&] {
    const Named image = named(i);
    return within("image", [&] {
      const std::string file = as_usage([&] { return read_file(image.path, ImageDecoder::kMaxFileBytes); });
      const Bytes pixels = [&] {
        const std::lock_guard lock(mutex_);
        return within(image.path.native(), [&] { return decoder_->decode(file); });
      }();
      return image_row(form_, DType::kU8, image.label, pixels);
    });
  });
}

std::string_view ImageFiles::row(std::int64_t i, std::string& room) const {
  room = read(i);
  if (hash::blake3(as_bytes(room)) != seen_[static_cast<std::size_t>(i)])
    fail(Fault::kUsage, row_name(i), ": image: is another one than when it was first read");
  return room;
}

}  // namespace aftune::data
