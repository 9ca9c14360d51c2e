#include "base/bytes.h"

#include <gtest/gtest.h>

#include <limits>
#include <optional>
#include <random>

#include "base/error.h"

namespace aftune {
namespace {

template <class Body>
std::string refusal(Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::kEvidence);
    return e.what();
  }
  return "accepted";
}

Bytes bytes_of(std::string_view text) {
  const ByteView view = as_bytes(text);
  return {view.begin(), view.end()};
}

TEST(Hex, RoundTripsEveryByte) {
  Bytes all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<std::byte>(i));
  EXPECT_EQ(from_hex(to_hex(all)), all);
  EXPECT_EQ(to_hex(Bytes{std::byte{0x0f}, std::byte{0xa0}}), "0fa0");
  EXPECT_TRUE(from_hex("").empty());
}

TEST(Hex, TakesLowerCaseDigitsOnly) {
  for (int c = 0; c < 256; ++c) {
    const char digit = static_cast<char>(c);
    const bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    for (const std::string& text : {std::string{digit, '0'}, std::string{'0', digit}})
      EXPECT_EQ(refusal([&] { from_hex(text); }), good ? "accepted" : "not a lower-case hex digit") << c;
  }
  EXPECT_EQ(refusal([] { from_hex("abc"); }), "hex text of odd length");
}

TEST(Hex, DigestsAreExactly64Digits) {
  const std::string good(64, 'a');
  EXPECT_EQ(to_hex(digest_from_hex(good)), good);
  for (const std::size_t size : {0u, 1u, 62u, 63u, 65u, 66u, 128u})
    EXPECT_EQ(refusal([&] { digest_from_hex(std::string(size, 'a')); }),
              cat("a digest is 64 hex digits, found ", size, " characters"));
  EXPECT_EQ(refusal([&] { digest_from_hex(std::string(63, 'a') + 'A'); }), "not a lower-case hex digit");
}

TEST(FloatHex, KeepsEveryBit) {
  EXPECT_EQ(float_hex(1.0f), "3f800000");
  EXPECT_EQ(float_hex(-0.0f), "80000000");
  EXPECT_EQ(double_hex(1.0), "3ff0000000000000");
  EXPECT_EQ(u64_hex(0), "0000000000000000");
  EXPECT_EQ(u64_hex(~std::uint64_t{0}), "ffffffffffffffff");
  std::mt19937_64 rng(1);
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t bits = rng();
    EXPECT_EQ(u64_from_hex(u64_hex(bits)), bits);
    EXPECT_EQ(double_hex(double_from_hex(u64_hex(bits))), u64_hex(bits));
    EXPECT_EQ(float_hex(float_from_hex(u64_hex(bits).substr(8))), u64_hex(bits).substr(8));
  }
}

TEST(FloatHex, RefusesOtherLengthsAndDigits) {
  EXPECT_EQ(refusal([] { float_from_hex("3f80000"); }), "expected 8 hex digits, found 7");
  EXPECT_EQ(refusal([] { float_from_hex("3f8000000"); }), "expected 8 hex digits, found 9");
  EXPECT_EQ(refusal([] { float_from_hex(""); }), "expected 8 hex digits, found 0");
  EXPECT_EQ(refusal([] { float_from_hex("3F800000"); }), "not a lower-case hex digit");
  EXPECT_EQ(refusal([] { float_from_hex("0x3f8000"); }), "not a lower-case hex digit");
  EXPECT_EQ(refusal([] { double_from_hex("3f800000"); }), "expected 16 hex digits, found 8");
  EXPECT_EQ(refusal([] { u64_from_hex(" 00000000000001"); }), "expected 16 hex digits, found 15");
}

TEST(Base64, VectorsOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(to_base64(as_bytes(plain)), encoded);
    EXPECT_EQ(from_base64(encoded), bytes_of(plain));
  }
}

// Every text of four characters over an alphabet that has each kind of character: it decodes exactly if it is
// the encoding of something.
TEST(Base64, AcceptsCanonicalTextAndNothingElse) {
  constexpr std::string_view kAlphabet("ABQgwZaz059+/=-_ \n*\0\xc3", 21);
  for (const char a : kAlphabet)
    for (const char b : kAlphabet)
      for (const char c : kAlphabet)
        for (const char d : kAlphabet) {
          const std::string text{a, b, c, d};
          std::optional<Bytes> decoded;
          try {
            decoded = from_base64(text);
          } catch (const Error& e) {
            ASSERT_EQ(e.fault(), Fault::kEvidence);
          }
          if (decoded) {
            ASSERT_EQ(to_base64(*decoded), text);
          }
          const bool digits = text.find_first_not_of("ABQgwZaz059+/") == text.npos;
          if (digits) {
            ASSERT_TRUE(decoded.has_value()) << text;
          }
        }
}

TEST(Base64, RefusesStrayBitsPaddingAndLengths) {
  EXPECT_EQ(refusal([] { from_base64("Zh=="); }), "base64 text with stray trailing bits");
  EXPECT_EQ(refusal([] { from_base64("Zm9="); }), "base64 text with stray trailing bits");
  EXPECT_EQ(refusal([] { from_base64("Zg="); }), "base64 text whose length is not a multiple of 4");
  EXPECT_EQ(refusal([] { from_base64("Zg"); }), "base64 text whose length is not a multiple of 4");
  for (const char* bad : {"====", "Z===", "=Zg=", "Zg==Zg==", "Zm8=Zm8=", "Z g=", "Zg=A", "Zm9-", "Zm9_"})
    EXPECT_EQ(refusal([&] { from_base64(bad); }), "not a base64 character") << bad;
}

TEST(Base64, RoundTripsEveryLength) {
  std::mt19937_64 rng(2);
  for (std::size_t size = 0; size < 200; ++size) {
    Bytes data(size);
    for (std::byte& b : data) b = static_cast<std::byte>(rng());
    EXPECT_EQ(from_base64(to_base64(data)), data);
  }
}

// The code point that well-formed bytes encode, by encoding every code point and looking.
std::string encoded(std::uint32_t code) {
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xc0 | code >> 6), tail(0)};
  if (code < 0x10000) return {static_cast<char>(0xe0 | code >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | code >> 18), tail(12), tail(6), tail(0)};
}

std::uint32_t packed(std::string_view bytes) {
  std::uint32_t out = 0;
  for (const char c : bytes) out = out << 8 | static_cast<unsigned char>(c);
  return out;
}

// All sequences of one to three bytes: well-formed exactly if they are made of encodings of code points.
TEST(Utf8, ExhaustiveOverShortSequences) {
  std::vector<bool> one(1u << 8), two(1u << 16), three(1u << 24);
  for (std::uint32_t code = 0; code < 0x10000; ++code) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const std::string bytes = encoded(code);
    (bytes.size() == 1 ? one : bytes.size() == 2 ? two : three)[packed(bytes)] = true;
  }
  const auto expected_two = [&](std::uint32_t s) { return two[s] || (one[s >> 8] && one[s & 255]); };
  std::string text(1, '\0');
  for (std::uint32_t s = 0; s < one.size(); ++s) {
    text[0] = static_cast<char>(s);
    ASSERT_EQ(is_utf8(text), one[s]) << s;
  }
  text.resize(2);
  for (std::uint32_t s = 0; s < two.size(); ++s) {
    text[0] = static_cast<char>(s >> 8), text[1] = static_cast<char>(s);
    ASSERT_EQ(is_utf8(text), expected_two(s)) << s;
  }
  text.resize(3);
  for (std::uint32_t s = 0; s < three.size(); ++s) {
    text[0] = static_cast<char>(s >> 16), text[1] = static_cast<char>(s >> 8), text[2] = static_cast<char>(s);
    const bool expected =
        three[s] || (one[s >> 16] && expected_two(s & 0xffff)) || (two[s >> 8] && one[s & 255]);
    ASSERT_EQ(is_utf8(text), expected) << s;
  }
}

TEST(Utf8, FourByteSequencesEndAtTheLastCodePoint) {
  for (std::uint32_t code = 0x10000; code < 0x110000; code += 251)
    ASSERT_TRUE(is_utf8(encoded(code))) << code;
  EXPECT_TRUE(is_utf8("\xf4\x8f\xbf\xbf"));
  for (const char* bad : {"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x80\x80\x80",
                          "\xf8\x88\x80\x80\x80", "\xf0\x90\x80", "\xf0\x90\x80\x80\x80", "\xf0\x90\x80\x41"})
    EXPECT_FALSE(is_utf8(bad));
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8(std::string_view("\0", 1)));
}

TEST(LittleEndian, AppendsWhatItLoads) {
  Bytes out;
  append_le(out, std::uint32_t{0x01020304});
  append_le(out, std::uint16_t{0xa0b0});
  EXPECT_EQ(to_hex(out), "04030201b0a0");
  EXPECT_EQ(load_le<std::uint32_t>(out.data()), 0x01020304u);
  EXPECT_EQ(load_le<std::uint16_t>(out.data() + 4), 0xa0b0u);
}

}  // namespace
}  // namespace aftune
