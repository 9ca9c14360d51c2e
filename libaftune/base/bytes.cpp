#include "base/bytes.h"

#include "base/error.h"

namespace aftune {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";
constexpr char kBase64Digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

std::string bits_hex(std::uint64_t value, int digits) {
  std::string out(static_cast<std::size_t>(digits), '0');
  for (int i = digits - 1; i >= 0; --i, value >>= 4)
    out[static_cast<std::size_t>(i)] = kHexDigits[value & 15];
  return out;
}

std::uint64_t bits_from_hex(std::string_view hex, std::size_t digits) {
  if (hex.size() != digits) fail(Fault::kEvidence, "expected ", digits, " hex digits, found ", hex.size());
  std::uint64_t value = 0;
  for (char c : hex) {
    const int v = hex_value(c);
    if (v < 0) fail(Fault::kEvidence, "not a lower-case hex digit");
    value = value << 4 | static_cast<std::uint64_t>(v);
  }
  return value;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (std::byte b : bytes) {
    out.push_back(kHexDigits[std::to_integer<unsigned>(b) >> 4]);
    out.push_back(kHexDigits[std::to_integer<unsigned>(b) & 15]);
  }
  return out;
}

Bytes from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) fail(Fault::kEvidence, "hex text of odd length");
  Bytes out(hex.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::byte>(bits_from_hex(hex.substr(2 * i, 2), 2));
  return out;
}

Digest digest_from_hex(std::string_view hex) {
  if (hex.size() != 64)
    fail(Fault::kEvidence, "a digest is 64 hex digits, found ", hex.size(), " characters");
  const Bytes raw = from_hex(hex);
  Digest d;
  std::memcpy(d.bytes.data(), raw.data(), raw.size());
  return d;
}

std::string to_base64(ByteView bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < left ? std::to_integer<std::uint32_t>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      out.push_back(j <= left ? kBase64Digits[group >> (18 - 6 * j) & 63] : '=');
  }
  return out;
}

Bytes from_base64(std::string_view text) {
  if (text.size() % 4 != 0) fail(Fault::kEvidence, "base64 text whose length is not a multiple of 4");
  Bytes out;
  out.reserve(text.size() / 4 * 3);  // one allocation, so that a secret leaves no copies behind
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::size_t pad = 0;
    if (i + 4 == text.size()) pad = text[i + 3] != '=' ? 0u : text[i + 2] != '=' ? 1u : 2u;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const int v = j >= 4 - pad ? 0 : base64_value(text[i + j]);
      if (v < 0) fail(Fault::kEvidence, "not a base64 character");
      group = group << 6 | static_cast<std::uint32_t>(v);
    }
    if ((pad == 1 && (group & 0xff) != 0) || (pad == 2 && (group & 0xffff) != 0))
      fail(Fault::kEvidence, "base64 text with stray trailing bits");
    for (std::size_t j = 0; j < 3 - pad; ++j)
      out.push_back(static_cast<std::byte>(group >> (16 - 8 * j) & 255));
  }
  return out;
}

std::string float_hex(float value) {
  return bits_hex(std::bit_cast<std::uint32_t>(value), 8);
}
std::string double_hex(double value) {
  return bits_hex(std::bit_cast<std::uint64_t>(value), 16);
}
std::string u64_hex(std::uint64_t value) {
  return bits_hex(value, 16);
}

float float_from_hex(std::string_view hex) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits_from_hex(hex, 8)));
}
double double_from_hex(std::string_view hex) {
  return std::bit_cast<double>(bits_from_hex(hex, 16));
}
std::uint64_t u64_from_hex(std::string_view hex) {
  return bits_from_hex(hex, 16);
}

bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t more = 0;
    std::uint32_t code = 0;
    std::uint32_t least = 0;
    if (lead < 0x80) {
      ++i;
      continue;
    } else if (lead >= 0xc2 && lead < 0xe0) {
      more = 1, code = lead & 0x1fu, least = 0x80;
    } else if (lead >= 0xe0 && lead < 0xf0) {
      more = 2, code = lead & 0x0fu, least = 0x800;
    } else if (lead >= 0xf0 && lead < 0xf5) {
      more = 3, code = lead & 0x07u, least = 0x10000;
    } else {
      return false;
    }
    if (text.size() - i <= more) return false;
    for (std::size_t j = 1; j <= more; ++j) {
      const auto next = static_cast<unsigned char>(text[i + j]);
      if ((next & 0xc0) != 0x80) return false;
      code = code << 6 | (next & 0x3fu);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace aftune
