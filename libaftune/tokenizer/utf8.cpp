#include "tokenizer/utf8.h"

namespace aftune::tokenizer {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

unsigned byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

// How many bytes a sequence has that begins with `lead`, and what its second byte may be (Unicode, table
// 3-7).
struct Form {
  std::size_t length;
  unsigned second_least;
  unsigned second_most;
};

Form form_of(unsigned lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xc2 || lead > 0xf4) return {0, 0, 0};
  if (lead < 0xe0) return {2, 0x80, 0xbf};
  if (lead < 0xf0) return {3, lead == 0xe0 ? 0xa0u : 0x80u, lead == 0xed ? 0x9fu : 0xbfu};
  return {4, lead == 0xf0 ? 0x90u : 0x80u, lead == 0xf4 ? 0x8fu : 0xbfu};
}

// The length of the sequence at `at`: whole and well-formed, or the part of one that could still have become
// so.
std::size_t longest_prefix(std::string_view text, std::size_t at, bool& whole) {
  const Form form = form_of(byte_at(text, at));
  whole = form.length == 1;
  if (form.length < 2) return 1;
  std::size_t length = 1;
  for (; length < form.length && at + length < text.size(); ++length) {
    const unsigned next = byte_at(text, at + length);
    const unsigned least = length == 1 ? form.second_least : 0x80;
    const unsigned most = length == 1 ? form.second_most : 0xbf;
    if (next < least || next > most) break;
  }
  whole = length == form.length;
  return length;
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& at) {
  const unsigned lead = byte_at(text, at++);
  if (lead < 0x80) return lead;
  const int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
  char32_t code = lead & (0x3fu >> more);
  for (int i = 0; i < more; ++i) code = code << 6 | (byte_at(text, at++) & 0x3fu);
  return code;
}

std::size_t previous_code_point(std::string_view text, std::size_t at) {
  do --at;
  while ((byte_at(text, at) & 0xc0) == 0x80);
  return at;
}

void append_code_point(std::string& out, char32_t code) {
  const auto push = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    push(code);
  } else if (code < 0x800) {
    push(0xc0 | code >> 6);
    push(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    push(0xe0 | code >> 12);
    push(0x80 | (code >> 6 & 0x3f));
    push(0x80 | (code & 0x3f));
  } else {
    push(0xf0 | code >> 18);
    push(0x80 | (code >> 12 & 0x3f));
    push(0x80 | (code >> 6 & 0x3f));
    push(0x80 | (code & 0x3f));
  }
}

std::string replace_invalid(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    bool whole = false;
    const std::size_t length = longest_prefix(text, at, whole);
    out += whole ? text.substr(at, length) : kReplacement;
    at += length;
  }
  return out;
}

std::size_t open_end(std::string_view text) {
  for (std::size_t length = 1; length <= 3 && length <= text.size(); ++length) {
    const std::size_t at = text.size() - length;
    if ((byte_at(text, at) & 0xc0) == 0x80) continue;
    bool whole = false;
    return form_of(byte_at(text, at)).length > 1 && longest_prefix(text, at, whole) == length && !whole
               ? length
               : 0;
  }
  return 0;
}

}  // namespace aftune::tokenizer
