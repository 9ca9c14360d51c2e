#pragma once

#include <string>
#include <string_view>

namespace aftune {

/// Text of a foreign file as messages show it: of a length (60 bytes, then "...") and of characters
/// (printable ASCII;
/// "?" for any other byte) that cannot hurt a log or a terminal.
std::string printable(std::string_view text);

}  // namespace aftune
