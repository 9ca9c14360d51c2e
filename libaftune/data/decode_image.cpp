#include "data/decode_image.h"

#include <png.h>

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it
#include <cstring>
#include <string>
#include <vector>

#include <jpeglib.h>

#include "base/error.h"

namespace aftune::data {
namespace {

void require_size(std::int64_t width, std::int64_t height, std::int64_t size) {
  if (width != size || height != size)
    fail(Fault::kEvidence, width, " x ", height, " pixels, and the model takes ", size, " x ", size,
         ": resize first");
}

// RGBRGB... of one row of pixels to three planes.
void spread(const std::byte* row, std::int64_t y, std::int64_t size, std::span<std::byte> out) {
  for (std::int64_t c = 0; c < kDecodedChannels; ++c)
    for (std::int64_t x = 0; x < size; ++x)
      out[static_cast<std::size_t>((c * size + y) * size + x)] = row[x * kDecodedChannels + c];
}

// Both libraries leave by longjmp, which runs no destructor: what a decoder owns lives outside of the
// function that it leaves.
struct Failure {
  std::jmp_buf jump;
  char text[256] = {};
};

// --- PNG

struct Source {
  ByteView rest;
};

void png_failed(png_structp png, png_const_charp why) {
  auto* failure = static_cast<Failure*>(png_get_error_ptr(png));
  std::strncpy(failure->text, why, sizeof(failure->text) - 1);
  std::longjmp(failure->jump, 1);
}

void png_warned(png_structp, png_const_charp) {}

void png_take(png_structp png, png_bytep to, png_size_t count) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (count > source->rest.size()) png_error(png, "the file ends early");
  std::memcpy(to, source->rest.data(), count);
  source->rest = source->rest.subspan(count);
}

class Png {
 public:
  explicit Png(ByteView file) : source_{file} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure_, png_failed, png_warned);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) fail(Fault::kSystem, "no memory");
  }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;
  ~Png() { png_destroy_read_struct(&png_, &info_, nullptr); }

  void read(std::int64_t size, std::span<std::byte> out) {
    if (!header()) fail(Fault::kEvidence, "PNG: ", failure_.text);
    require_size(png_get_image_width(png_, info_), png_get_image_height(png_, info_), size);
    if (png_get_bit_depth(png_, info_) == 16)
      fail(Fault::kEvidence, "PNG: 16 bits a channel; the model takes 8");
    pixels_.resize(static_cast<std::size_t>(kDecodedChannels * size * size));
    rows_.resize(static_cast<std::size_t>(size));
    for (std::size_t y = 0; y < rows_.size(); ++y)
      rows_[y] =
          reinterpret_cast<png_bytep>(pixels_.data()) + y * static_cast<std::size_t>(kDecodedChannels * size);
    if (!image()) fail(Fault::kEvidence, "PNG: ", failure_.text);
    for (std::int64_t y = 0; y < size; ++y)
      spread(pixels_.data() + y * kDecodedChannels * size, y, size, out);
  }

 private:
  bool header() {
    if (setjmp(failure_.jump) != 0) return false;
    png_set_read_fn(png_, &source_, png_take);
    // Text and profiles of a file of a few kilobytes may unpack to gigabytes.
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
    png_set_chunk_malloc_max(png_, png_alloc_size_t{8} << 20);
    png_set_chunk_cache_max(png_, 64);
    png_read_info(png_, info_);
    return true;
  }

  bool image() {
    if (setjmp(failure_.jump) != 0) return false;
    const int colour = png_get_color_type(png_, info_);
    png_set_expand(png_);  // palettes, and grey of fewer than 8 bits
    if ((colour & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != rows_.size() * static_cast<std::size_t>(kDecodedChannels))
      png_error(png_, "its pixels cannot be made RGB");
    png_read_image(png_, rows_.data());
    png_read_end(png_, nullptr);
    return true;
  }

  Failure failure_;
  Source source_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::vector<std::byte> pixels_;
  std::vector<png_bytep> rows_;
};

// --- JPEG

struct JpegErrors : jpeg_error_mgr {
  Failure failure;
};

void jpeg_failed(j_common_ptr jpeg) {
  auto* errors = static_cast<JpegErrors*>(jpeg->err);
  char text[JMSG_LENGTH_MAX];
  errors->format_message(jpeg, text);
  std::strncpy(errors->failure.text, text, sizeof(errors->failure.text) - 1);
  std::longjmp(errors->failure.jump, 1);
}

// What libjpeg calls a warning is data that are damaged: pixels would be made up.
void jpeg_warned(j_common_ptr jpeg, int level) {
  if (level < 0) jpeg_failed(jpeg);
}

class Jpeg {
 public:
  explicit Jpeg(ByteView file) : file_(file) {
    jpeg_.err = jpeg_std_error(&errors_);
    errors_.error_exit = jpeg_failed;
    errors_.emit_message = jpeg_warned;
  }
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;
  ~Jpeg() { jpeg_destroy_decompress(&jpeg_); }

  void read(std::int64_t size, std::span<std::byte> out) {
    if (!header()) fail(Fault::kEvidence, "JPEG: ", errors_.failure.text);
    require_size(jpeg_.image_width, jpeg_.image_height, size);
    if (jpeg_.jpeg_color_space == JCS_CMYK || jpeg_.jpeg_color_space == JCS_YCCK)
      fail(Fault::kEvidence, "JPEG: CMYK colours; convert to RGB first");
    row_.resize(static_cast<std::size_t>(kDecodedChannels * size));
    if (!start()) fail(Fault::kEvidence, "JPEG: ", errors_.failure.text);
    for (std::int64_t y = 0; y < size; ++y) {
      if (!line()) fail(Fault::kEvidence, "JPEG: ", errors_.failure.text);
      spread(row_.data(), y, size, out);
    }
    if (!finish()) fail(Fault::kEvidence, "JPEG: ", errors_.failure.text);
  }

 private:
  bool header() {
    if (setjmp(errors_.failure.jump) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(file_.data()), file_.size());
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }
  bool start() {
    if (setjmp(errors_.failure.jump) != 0) return false;
    jpeg_.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg_);
    return true;
  }
  bool line() {
    if (setjmp(errors_.failure.jump) != 0) return false;
    auto* row = reinterpret_cast<JSAMPROW>(row_.data());
    jpeg_read_scanlines(&jpeg_, &row, 1);
    return true;
  }
  bool finish() {
    if (setjmp(errors_.failure.jump) != 0) return false;
    jpeg_finish_decompress(&jpeg_);
    return true;
  }

  ByteView file_;
  jpeg_decompress_struct jpeg_{};
  JpegErrors errors_{};
  std::vector<std::byte> row_;
};

bool starts_with(ByteView file, std::string_view magic) {
  return as_text(file).starts_with(magic);
}

}  // namespace

void decode_image(ByteView file, std::int64_t size, std::span<std::byte> out) {
  AFTUNE_CHECK(static_cast<std::int64_t>(out.size()) == kDecodedChannels * size * size);
  if (starts_with(file, "\x89PNG\r\n\x1a\n")) return Png(file).read(size, out);
  if (starts_with(file, "\xff\xd8\xff")) return Jpeg(file).read(size, out);
  fail(Fault::kEvidence, "neither PNG nor JPEG");
}

}  // namespace aftune::data
