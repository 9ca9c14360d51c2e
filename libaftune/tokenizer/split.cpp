#include "tokenizer/split.h"

#include <cstdint>

#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

// Matchers written by hand for three fixed expressions: a general engine would have to be trusted with
// hostile patterns and with its own Unicode version. Each alternative is a function that returns the end of
// its match or kNoMatch; the first alternative that matches wins, as in the engines these expressions were
// written for.
namespace aftune::tokenizer {
namespace {

constexpr std::size_t kNoMatch = std::string_view::npos;

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";

bool is_letter(std::uint8_t classes) {
  return (classes & kLetter) != 0;
}
bool is_number(std::uint8_t classes) {
  return (classes & kNumber) != 0;
}
bool is_space(std::uint8_t classes) {
  return (classes & kSpace) != 0;
}
// [^\s\p{L}\p{N}]
bool is_other(std::uint8_t classes) {
  return (classes & (kLetter | kNumber | kSpace)) == 0;
}

bool is_newline(char c) {
  return c == '\n' || c == '\r';
}

// One code point of the text, with its classes.
struct Item {
  std::uint8_t classes = 0;
  std::size_t end = kNoMatch;
};

Item item_at(std::string_view text, std::size_t at) {
  if (at >= text.size()) return {};
  const char32_t code = next_code_point(text, at);
  return {classes_of(code), at};
}

// The end of the longest run of at most `most` code points of a class, from `at` on; kNoMatch if it is empty.
template <class Test>
std::size_t run(std::string_view text, std::size_t at, Test test, std::size_t most = kNoMatch) {
  const std::size_t start = at;
  for (std::size_t count = 0; count < most; ++count) {
    const Item item = item_at(text, at);
    if (item.end == kNoMatch || !test(item.classes)) break;
    at = item.end;
  }
  return at == start ? kNoMatch : at;
}

// ` ?X+`
template <class Test>
std::size_t spaced_run(std::string_view text, std::size_t at, Test test) {
  return run(text, text[at] == ' ' ? at + 1 : at, test);
}

// The ASCII letter that the character at `at` folds to, or 0. U+017F, the long s, folds to s; nothing else
// outside ASCII folds to a letter of a contraction.
char folded(std::string_view text, std::size_t& at) {
  if (at >= text.size()) return 0;
  const char32_t code = next_code_point(text, at);
  if (code == 0x17f) return 's';
  if (code >= 'A' && code <= 'Z') return static_cast<char>(code - 'A' + 'a');
  return code < 0x80 ? static_cast<char>(code) : '\0';
}

// 's|'t|'re|'ve|'m|'ll|'d
std::size_t contraction(std::string_view text, std::size_t at) {
  if (text[at] != '\'' || at + 1 >= text.size()) return kNoMatch;
  const char first = text[at + 1];
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
  const std::string_view two = text.substr(at + 1, 2);
  return two == "re" || two == "ve" || two == "ll" ? at + 3 : kNoMatch;
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)
std::size_t contraction_any_case(std::string_view text, std::size_t at) {
  if (text[at] != '\'') return kNoMatch;
  ++at;
  const char first = folded(text, at);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at;
  if (first != 'r' && first != 'v' && first != 'l') return kNoMatch;
  const char second = folded(text, at);
  return second == (first == 'l' ? 'l' : 'e') ? at : kNoMatch;
}

// [^\r\n\p{L}\p{N}]?\p{L}+
std::size_t word(std::string_view text, std::size_t at) {
  const Item first = item_at(text, at);
  if (is_letter(first.classes)) return run(text, at, is_letter);
  if (is_number(first.classes) || is_newline(text[at])) return kNoMatch;
  return run(text, first.end, is_letter);
}

//  ?[^\s\p{L}\p{N}]+[\r\n]*
std::size_t punctuation(std::string_view text, std::size_t at) {
  std::size_t end = spaced_run(text, at, is_other);
  while (end < text.size() && is_newline(text[end])) ++end;
  return end;
}

// \s*[\r\n]+: as far as the last line break of the white space.
std::size_t line_breaks(std::string_view text, std::size_t at) {
  const std::size_t end = run(text, at, is_space);
  if (end == kNoMatch) return kNoMatch;
  const std::size_t last = text.substr(at, end - at).find_last_of("\r\n");
  return last == std::string_view::npos ? kNoMatch : at + last + 1;
}

// \s+(?!\S)|\s+: all white space, but its last character stays with the text that follows.
std::size_t spaces(std::string_view text, std::size_t at) {
  const std::size_t end = run(text, at, is_space);
  if (end == kNoMatch || end == text.size()) return end;
  const std::size_t last = previous_code_point(text, end);
  return last == at ? end : last;
}

std::size_t match_gpt2(std::string_view text, std::size_t at) {
  std::size_t end = contraction(text, at);
  if (end == kNoMatch) end = spaced_run(text, at, is_letter);
  if (end == kNoMatch) end = spaced_run(text, at, is_number);
  if (end == kNoMatch) end = spaced_run(text, at, is_other);
  if (end == kNoMatch) end = spaces(text, at);
  return end;
}

// Llama-3 and Qwen differ in how many digits make a word.
std::size_t match_llama3(std::string_view text, std::size_t at, std::size_t digits) {
  std::size_t end = contraction_any_case(text, at);
  if (end == kNoMatch) end = word(text, at);
  if (end == kNoMatch) end = run(text, at, is_number, digits);
  if (end == kNoMatch) end = punctuation(text, at);
  if (end == kNoMatch) end = line_breaks(text, at);
  if (end == kNoMatch) end = spaces(text, at);
  return end;
}

}  // namespace

std::optional<Pattern> pattern_of(std::string_view regex) {
  if (regex == kGpt2) return Pattern::kGpt2;
  if (regex == kLlama3) return Pattern::kLlama3;
  if (regex == kQwen) return Pattern::kQwen;
  return std::nullopt;
}

std::size_t match_end(Pattern pattern, std::string_view text, std::size_t at) {
  switch (pattern) {
    case Pattern::kGpt2:
      return match_gpt2(text, at);
    case Pattern::kLlama3:
      return match_llama3(text, at, 3);
    case Pattern::kQwen:
      return match_llama3(text, at, 1);
  }
  return text.size();
}

}  // namespace aftune::tokenizer
