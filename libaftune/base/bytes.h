#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aftune {

static_assert(std::endian::native == std::endian::little,
              "tensor bytes are hashed where they lie: little-endian");

using Bytes = std::vector<std::byte>;
using ByteView = std::span<const std::byte>;

/// A 256-bit digest: BLAKE3 of a tensor or file, or SHA-256 of a tree node.
struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  friend bool operator==(const Digest&, const Digest&) = default;
  friend auto operator<=>(const Digest&, const Digest&) = default;
};

inline ByteView as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline ByteView as_bytes(const Digest& d) {
  return std::as_bytes(std::span(d.bytes));
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string to_hex(ByteView bytes);
inline std::string to_hex(const Digest& d) {
  return to_hex(as_bytes(d));
}
/// Lower-case hex only. Throws Error{kEvidence} on an odd length or any other character.
Bytes from_hex(std::string_view hex);
/// Exactly 64 lower-case hex digits. Throws Error{kEvidence}.
Digest digest_from_hex(std::string_view hex);

/// RFC 4648 §4 with padding.
std::string to_base64(ByteView bytes);
/// Canonical RFC 4648 §4 with padding, trailing bits zero. Throws Error{kEvidence}.
Bytes from_base64(std::string_view text);

/// A binary32 as 8, a binary64 as 16 lower-case hex digits, most significant first (docs/trace.md).
std::string float_hex(float value);
std::string double_hex(double value);
std::string u64_hex(std::uint64_t value);
/// Throw Error{kEvidence} unless the text is exactly such digits. Any bit pattern is accepted, NaN included.
float float_from_hex(std::string_view hex);
double double_from_hex(std::string_view hex);
std::uint64_t u64_from_hex(std::string_view hex);

template <class T>
void append_le(Bytes& out, T value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof(T));
  std::memcpy(out.data() + at, &value, sizeof(T));
}

template <class T>
T load_le(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

/// True if the text is well-formed UTF-8 (no surrogates, no overlong forms, nothing past U+10FFFF).
bool is_utf8(std::string_view text);

}  // namespace aftune
