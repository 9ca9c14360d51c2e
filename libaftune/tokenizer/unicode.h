#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tokenizer/unicode_tables.h"

namespace aftune::tokenizer {

/// The CharClass bits of a code point.
std::uint8_t classes_of(char32_t code);

/// Normalization Form C of well-formed UTF-8.
std::string nfc(std::string_view text);

}  // namespace aftune::tokenizer
