#include "tokenizer/byte_alphabet.h"

#include "tokenizer/utf8.h"

namespace aftune::tokenizer {
namespace {

bool stands_for_itself(char32_t byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte != 0xad);
}

// The byte of each character from U+0000 to U+0143, or -1.
std::array<int, 0x144> make_bytes() {
  std::array<int, 0x144> bytes{};
  bytes.fill(-1);
  std::size_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const auto code = static_cast<char32_t>(byte);
    bytes[stands_for_itself(code) ? code : next++] = byte;
  }
  return bytes;
}

const std::array<int, 0x144>& bytes_by_character() {
  static const std::array<int, 0x144> bytes = make_bytes();
  return bytes;
}

std::array<std::string, 256> make_alphabet() {
  std::array<std::string, 256> alphabet;
  const auto& bytes = bytes_by_character();
  for (std::size_t code = 0; code < bytes.size(); ++code)
    if (bytes[code] >= 0)
      append_code_point(alphabet[static_cast<std::size_t>(bytes[code])], static_cast<char32_t>(code));
  return alphabet;
}

}  // namespace

const std::array<std::string, 256>& byte_alphabet() {
  static const std::array<std::string, 256> alphabet = make_alphabet();
  return alphabet;
}

std::optional<std::string> bytes_of_alphabet(std::string_view token) {
  const auto& bytes = bytes_by_character();
  std::string out;
  for (std::size_t at = 0; at < token.size();) {
    const char32_t code = next_code_point(token, at);
    if (code >= bytes.size() || bytes[code] < 0) return std::nullopt;
    out.push_back(static_cast<char>(bytes[code]));
  }
  return out;
}

}  // namespace aftune::tokenizer
