#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "data/image_form.h"
#include "tensor/tensor.h"

namespace aftune::data {

/// A row of a data set of images (docs/trace.md, "Image rows"): its bytes are a line of canonical JSON and
/// the pixels as they were given, by channel and then by row. So what is committed to depends on no decoder.
struct ImageRow {
  DType dtype = DType::kU8;  ///< U8: bytes that are normalised; F32: what the model sees
  std::int32_t label = 0;
  ByteView pixels;
};

/// The bytes of a row. `pixels` are those of a square image of the form.
std::string image_row(const ImageForm& form, DType dtype, std::int32_t label, ByteView pixels);
/// Throws Error{kUsage} that says what of the row is not as the form has it. The pixels point into `row`.
ImageRow parse_image_row(const ImageForm& form, std::string_view row);
/// What the model sees of it: out[form.pixels()]. Throws Error{kUsage} for a pixel that is not finite.
void normalise(const ImageForm& form, const ImageRow& row, std::span<float> out);

}  // namespace aftune::data
