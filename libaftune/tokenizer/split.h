#pragma once

#include <optional>
#include <string_view>

namespace aftune::tokenizer {

/// The three regular expressions that byte-level models split text into words with.
enum class Pattern { kGpt2, kLlama3, kQwen };

/// The pattern whose source text is exactly `regex`.
std::optional<Pattern> pattern_of(std::string_view regex);

/// The end of the pattern's match at byte `at` of well-formed UTF-8. Every pattern matches at least one code
/// point at every place. Requires at < text.size().
std::size_t match_end(Pattern pattern, std::string_view text, std::size_t at);

}  // namespace aftune::tokenizer
