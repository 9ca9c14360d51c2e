// Images as data: files and tensors to rows, rows to what a model sees.

#include "images.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "data/dataset.h"
#include "data/image_decoder.h"
#include "data/image_row.h"
#include "scratch.h"

namespace aftune::data {
namespace {

using testing_support::bytes_of;
using testing_support::jpeg_of;
using testing_support::Pixels;
using testing_support::planes;
using testing_support::png_of;
using testing_support::safetensors_of;
using testing_support::some_bytes;

ImageForm form_of(std::int64_t size, std::int64_t channels = 3) {
  const auto n = static_cast<std::size_t>(channels);
  return {.channels = channels,
          .size = size,
          .patch = 2,
          .labels = 5,
          .label_ids = {{"cat", 0}, {"dog", 4}},
          .normalisation = {1.0 / 255, std::vector<float>(n, 0.5f), std::vector<float>(n, 0.25f)}};
}

template <class Body>
std::string usage(const Body& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kUsage) << e.what();
    return e.what();
  }
  return "accepted";
}

TEST(ImageRow, IsALineAndThePixels) {
  const ImageForm form = form_of(2);
  const Pixels pixels = some_bytes(12, 1);
  const std::string row = image_row(form, DType::kU8, 4, std::as_bytes(std::span(pixels)));
  EXPECT_EQ(row.substr(0, row.find('\n')), R"({"dtype":"U8","label":4,"shape":[3,2,2]})");
  EXPECT_EQ(row.substr(row.find('\n') + 1), bytes_of(pixels));
  const ImageRow read = parse_image_row(form, row);
  EXPECT_EQ(read.label, 4);
  EXPECT_EQ(read.dtype, DType::kU8);
  EXPECT_EQ(as_text(read.pixels), bytes_of(pixels));
}

TEST(ImageRow, AnythingElseIsRefused) {
  const ImageForm form = form_of(2);
  const auto refusal = [&](std::string row) { return usage([&] { parse_image_row(form, row); }); };
  const std::string twelve(12, 'x');
  EXPECT_EQ(refusal(R"({"dtype":"U8","label":4,"shape":[3,2,2]})"
                    "\n" +
                    twelve),
            "accepted");
  EXPECT_EQ(refusal(R"({"dtype":"U8","label":4,"shape":[3,2,2]})"), "not the row of an image");
  EXPECT_EQ(refusal(R"({"text":"a"})"), "not the row of an image");
  EXPECT_EQ(refusal(""), "not the row of an image");
  EXPECT_EQ(refusal(std::string(300, ' ') + "\n"), "not the row of an image");
  for (const char* header :
       {R"({"label":4,"dtype":"U8","shape":[3,2,2]})", R"({"dtype":"U8","label":4, "shape":[3,2,2]})",
        R"({"dtype":"U8","label":4,"shape":[3,2,2],"x":1})", R"({"dtype":"U8","label":-1,"shape":[3,2,2]})",
        R"({"dtype":"U8","label":4})", R"({"dtype":"F64","label":4,"shape":[3,2,2]})", "[]", "7"})
    EXPECT_NE(refusal(header + std::string("\n") + twelve), "accepted") << header;
  EXPECT_EQ(refusal(R"({"dtype":"I32","label":4,"shape":[3,2,2]})"
                    "\n" +
                    twelve),
            "image: of I32, and pixels are U8 or F32");
  EXPECT_EQ(refusal(R"({"dtype":"U8","label":4,"shape":[2,3,2]})"
                    "\n" +
                    twelve),
            "image: of shape [2,3,2], and the model takes [3,2,2]");
  EXPECT_EQ(refusal(R"({"dtype":"U8","label":5,"shape":[3,2,2]})"
                    "\n" +
                    twelve),
            "label: 5 is beyond the model's 5 classes");
  for (const std::size_t size : {0, 11, 13})
    EXPECT_EQ(refusal(R"({"dtype":"U8","label":4,"shape":[3,2,2]})"
                      "\n" +
                      std::string(size, 'x')),
              cat("image: ", size, " bytes of pixels, expected 12"));
}

// As ViTImageProcessor has it: the product in binary64, rounded; then the mean off, then over std, in
// binary32.
TEST(ImageRow, BytesAreNormalisedByChannel) {
  ImageForm form = form_of(16, 2);
  form.normalisation = {1.0 / 255, {0.485f, 0.456f}, {0.229f, 0.224f}};
  Pixels pixels(512);
  for (std::size_t i = 0; i < 256; ++i) pixels[i] = pixels[256 + i] = static_cast<unsigned char>(i);
  const std::string row = image_row(form, DType::kU8, 0, std::as_bytes(std::span(pixels)));
  std::vector<float> out(512);
  normalise(form, parse_image_row(form, row), out);
  for (std::size_t c = 0; c < 2; ++c)
    for (std::size_t i = 0; i < 256; ++i) {
      volatile float scaled = static_cast<float>(static_cast<double>(i) * (1.0 / 255));
      volatile float centred = scaled - form.normalisation.mean[c];
      const float expected = centred / form.normalisation.std[c];
      EXPECT_EQ(std::bit_cast<std::uint32_t>(out[c * 256 + i]), std::bit_cast<std::uint32_t>(expected)) << i;
      EXPECT_NEAR(out[c * 256 + i],
                  (static_cast<double>(i) / 255 - static_cast<double>(form.normalisation.mean[c])) /
                      static_cast<double>(form.normalisation.std[c]),
                  1e-6);
    }
}

TEST(ImageRow, FloatsAreTakenAsTheyAre) {
  const ImageForm form = form_of(2);
  std::vector<float> pixels = {0.0f, -0.0f, 1e-45f, 3.5f, -2, 1, 7, 8, 9, 10, 11, 12};
  const auto seen = [&] {
    const std::string row = image_row(form, DType::kF32, 0, std::as_bytes(std::span(pixels)));
    std::vector<float> out(12);
    normalise(form, parse_image_row(form, row), out);
    return bytes_of(out);
  };
  EXPECT_EQ(seen(), bytes_of(pixels));
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    pixels[11] = bad;
    EXPECT_EQ(usage(seen), "image: a pixel is not finite");
  }
}

TEST(ImageEncoder, TheClassTokensPositionHasTheClass) {
  const ImageForm form = form_of(4);
  const Encoder encoder(form);
  const Pixels pixels = some_bytes(48, 3);
  const std::string row = image_row(form, DType::kU8, 4, std::as_bytes(std::span(pixels)));
  const Document document = encoder.encode(row, 0);
  EXPECT_EQ(document.labels, (std::vector<std::int32_t>{4, -1, -1, -1, -1}));
  EXPECT_EQ(document.predicted(), 1);
  EXPECT_EQ(document.pixels.size(), 48u);
  EXPECT_TRUE(document.tokens.empty());
  EXPECT_EQ(usage([&] { encoder.encode("x", 6); }), "row 7: not the row of an image");
}

TEST(ImageBatch, IsCutByImages) {
  Rows rows = rows_from_layout({1, 5, 1, 5, 1, 5}, 15);
  for (int i = 0; i < 9; ++i) rows.pixels.push_back(static_cast<float>(i));
  EXPECT_EQ(rows.slice(1, 3).pixels, (std::vector<float>{3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(rows.slice(0, 1).pixels, (std::vector<float>{0, 1, 2}));
  EXPECT_NE(input_digest(rows), input_digest(rows.slice(1, 3)));
}

class ImageFilesTest : public testing::Test {
 protected:
  Dataset images(std::string_view lines, std::int64_t size = 8) {
    write_file(scratch_.path() / "rows.jsonl", lines);
    return Dataset::read_images(scratch_.path() / "rows.jsonl", form_of(size));
  }
  Dataset tensors(const std::string& file, std::int64_t size = 2) {
    write_file(scratch_.path() / "rows.safetensors", file);
    return Dataset::read_images(scratch_.path() / "rows.safetensors", form_of(size));
  }
  void put(const std::string& name, std::string_view bytes) { write_file(scratch_.path() / name, bytes); }
  // Without the paths of this folder.
  std::string refusal(std::string_view lines, std::int64_t size = 8) {
    return clean(usage([&] { images(lines, size); }));
  }
  std::string refused_tensors(const std::string& file) {
    return clean(usage([&] { tensors(file); }));
  }
  std::string clean(std::string text) const {
    const std::string folder = scratch_.path().native() + "/";
    for (std::size_t at; (at = text.find(folder)) != text.npos;) text.erase(at, folder.size());
    return text;
  }
  std::string row_of(int label, const std::string& pixels, std::int64_t size = 8) {
    return cat(R"({"dtype":"U8","label":)", label, R"(,"shape":[3,)", size, ',', size, "]}\n") + pixels;
  }

  testing_support::Scratch scratch_{"images"};
};

TEST_F(ImageFilesTest, PngOfEveryKind) {
  const Pixels rgb = some_bytes(192, 1), grey = some_bytes(64, 2), rgba = some_bytes(256, 3);
  put("a.png", png_of(8, rgb));
  put("grey.png", png_of(8, 8, PNG_FORMAT_GRAY, grey.data()));
  put("alpha.png", png_of(8, 8, PNG_FORMAT_RGBA, rgba.data()));
  Pixels colours = some_bytes(12, 4), indices(64);
  for (std::size_t i = 0; i < 64; ++i) indices[i] = i % 4;
  put("palette.png", png_of(8, 8, PNG_FORMAT_RGB_COLORMAP, indices.data(), colours.data(), 4));
  const Dataset set = images(
      "{\"image\":\"a.png\",\"label\":3}\n{\"image\":\"grey.png\",\"label\":\"cat\"}\n"
      "{\"label\":\"dog\",\"image\":\"./alpha.png\"}\n{\"image\":\"palette.png\",\"label\":1}\n");
  ASSERT_EQ(set.rows(), 4);
  EXPECT_EQ(set.row(0), row_of(3, planes(rgb)));
  EXPECT_EQ(set.row(1), row_of(0, planes(grey, 1)));
  EXPECT_EQ(set.row(2), row_of(4, planes(rgba, 4)));
  Pixels shown(192);
  for (std::size_t i = 0; i < 192; ++i) shown[i] = colours[3 * indices[i / 3] + i % 3];
  EXPECT_EQ(set.row(3), row_of(1, planes(shown)));
}

// A smooth image, which a JPEG keeps to a few units.
TEST_F(ImageFilesTest, JpegOfEveryKind) {
  Pixels rgb(3 * 64), grey(64);
  for (std::size_t i = 0; i < 64; ++i) {
    grey[i] = static_cast<unsigned char>(i * 3);
    for (std::size_t c = 0; c < 3; ++c) rgb[3 * i + c] = static_cast<unsigned char>(40 + 20 * c + i);
  }
  put("a.jpg", jpeg_of(8, 8, 3, rgb));
  put("grey.jpeg", jpeg_of(8, 8, 1, grey));
  put("progressive.jpg", jpeg_of(8, 8, 3, rgb, true));
  const Dataset set = images(
      "{\"image\":\"a.jpg\",\"label\":3}\n{\"image\":\"grey.jpeg\",\"label\":3}\n"
      "{\"image\":\"progressive.jpg\",\"label\":3}\n");
  const std::string expected[] = {planes(rgb), planes(grey, 1), planes(rgb)};
  for (std::int64_t i = 0; i < 3; ++i) {
    const std::string row = set.row(i), pixels = row.substr(row.find('\n') + 1);
    ASSERT_EQ(pixels.size(), 192u);
    for (std::size_t p = 0; p < 192; ++p)
      EXPECT_NEAR(static_cast<unsigned char>(pixels[p]), static_cast<unsigned char>(expected[i][p]), 6)
          << i << ' ' << p;
  }
}

TEST_F(ImageFilesTest, BadRowsAreRefusedWithNumberAndField) {
  put("a.png", png_of(8, some_bytes(192, 1)));
  const std::string good = "{\"image\":\"a.png\",\"label\":3}\n";
  EXPECT_EQ(refusal(good), "accepted");
  EXPECT_EQ(refusal(good + "{\"image\":\"b.png\",\"label\":3}\n").substr(0, 41),
            "rows.jsonl: row 2 (line 2): image: b.png:");
  EXPECT_EQ(refusal("{\"image\":\"../a.png\",\"label\":3}\n"),
            "rows.jsonl: row 1 (line 1): image: not a path below the folder of the data file");
  EXPECT_EQ(refusal("{\"image\":\"/etc/passwd\",\"label\":3}\n"),
            "rows.jsonl: row 1 (line 1): image: not a path below the folder of the data file");
  EXPECT_EQ(refusal("{\"image\":3,\"label\":3}\n"), "rows.jsonl: row 1 (line 1): image: not a string");
  EXPECT_EQ(refusal("{\"image\":\"a.png\"}\n"), "rows.jsonl: row 1 (line 1): label: missing");
  EXPECT_EQ(refusal("{\"label\":1}\n"), "rows.jsonl: row 1 (line 1): image: missing");
  EXPECT_EQ(refusal("{\"image\":\"a.png\",\"label\":5}\n"),
            "rows.jsonl: row 1 (line 1): label: not a name, or a number below the model's 5 classes");
  EXPECT_EQ(refusal("{\"image\":\"a.png\",\"label\":-1}\n"),
            "rows.jsonl: row 1 (line 1): label: not a name, or a number below the model's 5 classes");
  EXPECT_EQ(refusal("{\"image\":\"a.png\",\"label\":\"cow\"}\n"),
            "rows.jsonl: row 1 (line 1): label: \"cow\" is no class of the model");
  EXPECT_EQ(refusal("{\"image\":\"a.png\",\"label\":1,\"text\":\"x\"}\n"),
            "rows.jsonl: row 1 (line 1): text: not a known field (a row has image and label)");
  EXPECT_EQ(refusal("[]\n"), "rows.jsonl: row 1 (line 1): not a JSON object");
  EXPECT_EQ(
      refusal(good, 4),
      "rows.jsonl: row 1 (line 1): image: a.png: 8 x 8 pixels, and the model takes 4 x 4: resize first");
}

TEST_F(ImageFilesTest, ImagesThatCannotBeTakenAreRefused) {
  const auto refused = [&](std::string_view bytes) {
    put("x", bytes);
    const std::string all = refusal("{\"image\":\"x\",\"label\":3}\n");
    const std::string prefix = "rows.jsonl: row 1 (line 1): image: x: ";
    EXPECT_TRUE(all == "accepted" || all.starts_with(prefix)) << all;
    return all == "accepted" ? all : all.substr(prefix.size());
  };
  const std::string png = png_of(8, some_bytes(192, 1)), jpeg = jpeg_of(8, 8, 3, some_bytes(192, 2));
  EXPECT_EQ(refused(""), "neither PNG nor JPEG");
  EXPECT_EQ(refused("GIF89a"), "neither PNG nor JPEG");
  std::vector<std::uint16_t> deep(192, 1000);
  EXPECT_EQ(refused(png_of(8, 8, PNG_FORMAT_LINEAR_RGB, deep.data())),
            "PNG: 16 bits a channel; the model takes 8");
  EXPECT_EQ(refused(jpeg_of(8, 8, 4, some_bytes(256, 2))), "JPEG: CMYK colours; convert to RGB first");
  ImageDecoder decoder(8);
  const auto refuses = [&](std::string_view bytes) {
    return usage([&] { decoder.decode(bytes); }) != "accepted";
  };
  for (const std::string& whole : {png, jpeg})
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_TRUE(refuses(whole.substr(0, size))) << size;
  // A header that claims 2^31 x 2^31 pixels.
  std::string huge = png;
  for (const std::size_t at : {16, 20}) huge.replace(at, 4, "\x7f\xff\xff\xff");
  EXPECT_NE(refused(huge), "accepted");
  std::string wide = jpeg;
  const std::size_t frame = wide.find("\xff\xc0");
  wide.replace(frame + 5, 4, "\xff\xdc\xff\xdc");
  EXPECT_EQ(refused(wide), "65500 x 65500 pixels, and the model takes 8 x 8: resize first");
  // Any byte may be another one: whatever comes of it, the process that decodes goes on or is made anew.
  for (std::size_t at = 0; at < png.size(); ++at) {
    std::string damaged = png;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    // What a chunk that is not needed holds does not matter; all else is checksummed.
    if (!refuses(damaged)) {
      EXPECT_EQ(decoder.decode(damaged), decoder.decode(png)) << at;
    }
  }
  for (std::size_t at = 0; at < jpeg.size(); ++at) {
    std::string damaged = jpeg;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    refuses(damaged);  // its pixels are not checksummed
  }
  EXPECT_FALSE(refuses(png));
}

TEST_F(ImageFilesTest, AnImageThatChangesLaterIsNotTaken) {
  put("a.png", png_of(8, some_bytes(192, 1)));
  const Dataset set = images("{\"image\":\"a.png\",\"label\":3}\n");
  const Digest root = set.root();
  put("a.png", png_of(8, some_bytes(192, 2)));
  EXPECT_EQ(usage([&] { set.row(0); }), "row 1 (line 1): image: is another one than when it was first read");
  put("a.png", png_of(8, some_bytes(192, 1)));
  EXPECT_EQ(set.root(), root);
}

TEST_F(ImageFilesTest, FilesAreRgbOnly) {
  put("a.png", png_of(8, some_bytes(192, 1)));
  write_file(scratch_.path() / "rows.jsonl", "{\"image\":\"a.png\",\"label\":3}\n");
  EXPECT_EQ(clean(usage([&] { Dataset::read_images(scratch_.path() / "rows.jsonl", form_of(8, 1)); })),
            "rows.jsonl: image files have 3 channels, the model takes 1: give a .safetensors file");
}

TEST_F(ImageFilesTest, Tensors) {
  const Pixels bytes = some_bytes(24, 5);
  std::vector<float> floats(24);
  for (std::size_t i = 0; i < 24; ++i) floats[i] = static_cast<float>(i) / 8;
  const testing_support::NamedTensor u8{{"pixels", DType::kU8, {2, 3, 2, 2}}, bytes_of(bytes)};
  const testing_support::NamedTensor f32{{"pixels", DType::kF32, {2, 3, 2, 2}}, bytes_of(floats)};
  const testing_support::NamedTensor i32{{"labels", DType::kI32, {2}},
                                         bytes_of(std::vector<std::int32_t>{4, 0})};
  const testing_support::NamedTensor i64{{"labels", DType::kI64, {2}},
                                         bytes_of(std::vector<std::int64_t>{4, 0})};
  const Dataset set = tensors(safetensors_of({u8, i64}));
  ASSERT_EQ(set.rows(), 2);
  EXPECT_EQ(set.row(0), row_of(4, bytes_of(bytes).substr(0, 12), 2));
  EXPECT_EQ(set.row(1), row_of(0, bytes_of(bytes).substr(12), 2));
  const Digest root = set.root();
  EXPECT_EQ(tensors(safetensors_of({u8, i32})).root(), root);
  const Dataset of_floats = tensors(safetensors_of({f32, i32}));
  EXPECT_EQ(of_floats.row(1).substr(0, 41), R"({"dtype":"F32","label":0,"shape":[3,2,2]})");
  EXPECT_EQ(of_floats.row(1).substr(42), bytes_of(floats).substr(48));

  const auto labels = [&](std::vector<std::int64_t> values) {
    return testing_support::NamedTensor{{"labels", DType::kI64, {std::ssize(values)}}, bytes_of(values)};
  };
  EXPECT_EQ(refused_tensors(safetensors_of({u8})), "rows.safetensors: labels: missing");
  EXPECT_EQ(refused_tensors(safetensors_of({i32})), "rows.safetensors: pixels: missing");
  EXPECT_EQ(refused_tensors(safetensors_of({u8, labels({1})})),
            "rows.safetensors: labels I64 [1]: there are 2 images");
  EXPECT_EQ(refused_tensors(safetensors_of({u8, labels({1, 5})})),
            "rows.safetensors: row 2: labels: 5 is not within the model's 5 classes");
  EXPECT_EQ(refused_tensors(safetensors_of({u8, labels({1, std::int64_t{1} << 32})})),
            "rows.safetensors: row 2: labels: 4294967296 is not within the model's 5 classes");
  EXPECT_EQ(refused_tensors(safetensors_of({u8, labels({-1, 1})})),
            "rows.safetensors: row 1: labels: -1 is not within the model's 5 classes");
  EXPECT_EQ(refused_tensors(safetensors_of({u8, i32, {{"other", DType::kU8, {1}}, "x"}})),
            "rows.safetensors: other: not a known tensor (there are pixels and labels)");
  EXPECT_EQ(
      refused_tensors(safetensors_of({{{"pixels", DType::kU8, {2, 3, 2, 4}}, std::string(48, 'x')}, i32})),
      "rows.safetensors: pixels U8 [2, 3, 2, 4]: the model takes [n, 3, 2, 2]: resize first");
  EXPECT_EQ(
      refused_tensors(safetensors_of({{{"pixels", DType::kI32, {2, 3, 2, 2}}, std::string(96, 'x')}, i32})),
      "rows.safetensors: pixels I32 [2, 3, 2, 2]: pixels are U8 or F32");
  EXPECT_EQ(refused_tensors(safetensors_of({{{"pixels", DType::kU8, {0, 3, 2, 2}}, ""}, labels({})})),
            "rows.safetensors: pixels U8 [0, 3, 2, 2]: no images");
  EXPECT_NE(refused_tensors("garbage"), "accepted");
}

}  // namespace
}  // namespace aftune::data
