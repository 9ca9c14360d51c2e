#pragma once

// Image files and data sets of images for tests, written as others write them.

#include <png.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <jpeglib.h>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/philox.h"
#include "tensor/tensor.h"

namespace aftune::testing_support {

using Pixels = std::vector<unsigned char>;

/// n values, a pure function of the seed.
inline Pixels some_bytes(std::int64_t n, std::uint64_t seed) {
  Pixels bytes(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<unsigned char>(philox({static_cast<std::uint32_t>(i), 0, 0, 9}, seed)[0]);
  return bytes;
}

/// RGBRGB... to three planes.
inline std::string planes(const Pixels& pixels, std::size_t channels = 3) {
  const std::size_t plane = pixels.size() / channels;
  std::string out(3 * plane, '\0');
  for (std::size_t c = 0; c < 3; ++c)
    for (std::size_t i = 0; i < plane; ++i)
      out[c * plane + i] = static_cast<char>(pixels[i * channels + (channels >= 3 ? c : 0)]);
  return out;
}

/// A PNG of one of libpng's formats: PNG_FORMAT_RGB and so on.
inline std::string png_of(unsigned width, unsigned height, unsigned format, const void* pixels,
                          const void* colours = nullptr, unsigned entries = 0) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = format;
  image.colormap_entries = entries;
  png_alloc_size_t size = 0;
  if (png_image_write_to_memory(&image, nullptr, &size, 0, pixels, 0, colours) == 0) return "";
  std::string out(size, '\0');
  png_image_write_to_memory(&image, out.data(), &size, 0, pixels, 0, colours);
  out.resize(size);
  return out;
}

inline std::string png_of(unsigned size, const Pixels& rgb) {
  return png_of(size, size, PNG_FORMAT_RGB, rgb.data());
}

/// A JPEG of 1, 3 or 4 channels of a byte (grey, RGB, CMYK).
inline std::string jpeg_of(unsigned width, unsigned height, int channels, const Pixels& pixels,
                           bool progressive = false) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &buffer, &size);
  jpeg.image_width = width;
  jpeg.image_height = height;
  jpeg.input_components = channels;
  jpeg.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 95, TRUE);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<unsigned char*>(pixels.data()) + jpeg.next_scanline * width * channels;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  const std::string out(reinterpret_cast<char*>(buffer), size);
  jpeg_destroy_compress(&jpeg);
  std::free(buffer);
  return out;
}

/// A safetensors file of these tensors, in this order.
struct NamedTensor {
  TensorSpec spec;
  std::string bytes;
};
inline std::string safetensors_of(const std::vector<NamedTensor>& tensors) {
  Json header = Json::object();
  std::string data;
  for (const NamedTensor& t : tensors) {
    header[t.spec.name] = {{"dtype", name(t.spec.dtype)},
                           {"shape", t.spec.shape},
                           {"data_offsets", {data.size(), data.size() + t.bytes.size()}}};
    data += t.bytes;
  }
  const std::string text = header.dump();
  Bytes length;
  append_le(length, std::uint64_t{text.size()});
  return std::string(as_text(length)) + text + data;
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return std::string(as_text(std::as_bytes(std::span(values))));
}

}  // namespace aftune::testing_support
