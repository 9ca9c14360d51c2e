#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace aftune::tokenizer {

/// The code point at byte `at` of well-formed UTF-8; `at` moves past it. Requires at < text.size().
char32_t next_code_point(std::string_view text, std::size_t& at);

/// The byte at which the code point that ends at byte `at` begins. Requires 0 < at <= text.size().
std::size_t previous_code_point(std::string_view text, std::size_t at);

void append_code_point(std::string& out, char32_t code);

/// Well-formed UTF-8: each maximal part of an ill-formed sequence becomes one U+FFFD (Unicode, "Substitution
/// of Maximal Subparts"; Python's errors="replace").
std::string replace_invalid(std::string_view text);

/// How many bytes at the end, at most 3, are the front of a well-formed sequence that is not whole.
std::size_t open_end(std::string_view text);

}  // namespace aftune::tokenizer
