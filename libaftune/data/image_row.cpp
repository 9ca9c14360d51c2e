#include "data/image_row.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/json.h"

namespace aftune::data {
namespace {

constexpr std::size_t kMaxHeader = 256;

Shape shape_of(const ImageForm& form) {
  return {form.channels, form.size, form.size};
}

Json parse_header(std::string_view text) {
  return within("not the row of an image", [&] {
    return parse_canonical(text, {.max_bytes = kMaxHeader, .max_depth = 2, .max_values = 16});
  });
}

ImageRow read_header(const ImageForm& form, const Json& json) {
  Fields fields(json, "image");
  ImageRow row;
  row.dtype = dtype_from_name(fields.text("dtype", 8));
  row.label = static_cast<std::int32_t>(fields.integer("label", 0, INT32_MAX));
  const Json shape = shape_of(form);
  if (fields.array("shape") != shape)
    fail(Fault::kUsage, "image: of shape ", json["shape"].dump(), ", and the model takes ", shape.dump());
  fields.done();
  if (row.dtype != DType::kU8 && row.dtype != DType::kF32)
    fail(Fault::kUsage, "image: of ", name(row.dtype), ", and pixels are U8 or F32");
  if (row.label >= form.labels)
    fail(Fault::kUsage, "label: ", row.label, " is beyond the model's ", form.labels, " classes");
  return row;
}

}  // namespace

std::string image_row(const ImageForm& form, DType dtype, std::int32_t label, ByteView pixels) {
  AFTUNE_CHECK(pixels.size() == byte_size({"", dtype, shape_of(form)}));
  std::string row =
      canonical_json({{"dtype", name(dtype)}, {"label", label}, {"shape", shape_of(form)}}) + '\n';
  row.append(as_text(pixels));
  return row;
}

ImageRow parse_image_row(const ImageForm& form, std::string_view bytes) {
  const std::size_t end = std::min(bytes.find('\n'), bytes.size());
  if (end > kMaxHeader || end == bytes.size()) fail(Fault::kUsage, "not the row of an image");
  ImageRow row = as_usage([&] { return read_header(form, parse_header(bytes.substr(0, end))); });
  row.pixels = as_bytes(bytes.substr(end + 1));
  if (const std::uint64_t expected = byte_size({"", row.dtype, shape_of(form)});
      row.pixels.size() != expected)
    fail(Fault::kUsage, "image: ", row.pixels.size(), " bytes of pixels, expected ", expected);
  return row;
}

void normalise(const ImageForm& form, const ImageRow& row, std::span<float> out) {
  AFTUNE_CHECK(static_cast<std::int64_t>(out.size()) == form.pixels());
  if (row.dtype == DType::kF32) {
    std::memcpy(out.data(), row.pixels.data(), row.pixels.size());
    if (!std::all_of(out.begin(), out.end(), [](float value) { return std::isfinite(value); }))
      fail(Fault::kUsage, "image: a pixel is not finite");
    return;
  }
  const record::Normalisation& n = form.normalisation;
  const auto plane = static_cast<std::size_t>(form.size * form.size);
  for (std::size_t c = 0; c < n.mean.size(); ++c)
    for (std::size_t i = c * plane; i < (c + 1) * plane; ++i) {
      const auto scaled = static_cast<float>(std::to_integer<int>(row.pixels[i]) * n.rescale);
      out[i] = (scaled - n.mean[c]) / n.std[c];
    }
}

}  // namespace aftune::data
