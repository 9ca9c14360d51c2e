#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace aftune::tokenizer {

/// The characters (as UTF-8) that byte-level models write bytes with: printable ones of Latin-1 stand for
/// themselves, the other 68 bytes are U+0100, U+0101, ... in order.
const std::array<std::string, 256>& byte_alphabet();

/// The bytes that a token of byte characters stands for; nothing if any character is not one.
std::optional<std::string> bytes_of_alphabet(std::string_view token);

}  // namespace aftune::tokenizer
