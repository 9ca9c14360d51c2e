// Image files to pixels, and rows of images to what a model sees.
#include <cmath>

#include "data/decode_image.h"
#include "data/image_row.h"
#include "fuzz/json_input.h"

namespace aftune {
namespace {

constexpr std::int64_t kSize = 8;

data::ImageForm form() {
  return {.channels = 3,
          .size = kSize,
          .patch = 4,
          .labels = 4,
          .label_ids = {},
          .normalisation = {1.0 / 255, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}}};
}

void decode(ByteView file) {
  Bytes pixels(3 * kSize * kSize);
  data::decode_image(file, kSize, pixels);
}

void take_row(std::string_view bytes) {
  const data::ImageForm images = form();
  const data::ImageRow row = data::parse_image_row(images, bytes);
  AFTUNE_CHECK(row.label >= 0 && row.label < images.labels);
  // A row has one text.
  AFTUNE_CHECK(data::image_row(images, row.dtype, row.label, row.pixels) == bytes);
  std::vector<float> seen(static_cast<std::size_t>(images.pixels()));
  data::normalise(images, row, seen);
  for (const float value : seen) AFTUNE_CHECK(std::isfinite(value));
}

}  // namespace
}  // namespace aftune

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, unsigned long size) {
  using namespace aftune;
  const std::string_view input = fuzz::text_of(data, size);
  fuzz::takes([&] { decode(as_bytes(input)); });
  fuzz::takes([&] { take_row(input); });
  return 0;
}
