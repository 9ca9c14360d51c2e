#pragma once

// What libpng and libjpeg make of a file's bytes. It is called in a locked child only (image_decoder.h): both
// are large libraries with a history, and the bytes are somebody else's.

#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace aftune::data {

/// Of what image files are decoded to: red, green, blue.
inline constexpr std::int64_t kDecodedChannels = 3;

/// Decodes a PNG or JPEG of size x size pixels to RGB, by channel and then by row: out [3 * size * size].
/// Other colours are made RGB as the libraries do it; an alpha channel is dropped. Throws Error{kEvidence}
/// that says what the file is not. Nothing is allocated for an image of another size.
void decode_image(ByteView file, std::int64_t size, std::span<std::byte> out);

}  // namespace aftune::data
