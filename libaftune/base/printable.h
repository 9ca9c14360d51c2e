#pragma once

#include <string>
#include <string_view>

namespace aftune {

/// Text of a foreign file as messages show it: of a length (60 bytes, then "...") and of characters
/// (printable ASCII;
/// "?" for any other byte) that cannot hurt a log or a terminal.
std::string printable(std::string_view text);

/// Text on one line that may be shown anywhere, in full: each byte that is no part of well-formed UTF-8, each
/// control character (C0, DEL, C1), line or paragraph separator, control of the writing direction and
/// noncharacter becomes U+FFFD. What is left is allowed in XML 1.0 and HTML, once its markup is escaped.
std::string visible(std::string_view text);

}  // namespace aftune
