#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "base/error.h"

namespace aftune {
namespace {

float from_bits(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}

std::uint16_t narrow_one(DType dtype, float value) {
  Buffer buffer(1);
  buffer[0] = value;
  return load_le<std::uint16_t>(narrow(dtype, buffer).data());
}

float widen_one(DType dtype, std::uint16_t half) {
  Bytes raw;
  append_le(raw, half);
  return widen(dtype, raw)[0];
}

// What the bits of a small float format mean, by its definition and in double, where every such value is
// exact.
double meaning(std::uint16_t half, int exponent_bits) {
  const int mantissa_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = half >> mantissa_bits & ((1 << exponent_bits) - 1);
  const int mantissa = half & ((1 << mantissa_bits) - 1);
  const double sign = (half & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == (1 << exponent_bits) - 1)
    return mantissa != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

void expect_all_widen_and_return(DType dtype, int exponent_bits, std::uint16_t canonical_nan) {
  for (std::uint32_t h = 0; h < 65536; ++h) {
    const auto half = static_cast<std::uint16_t>(h);
    const double expected = meaning(half, exponent_bits);
    const float wide = widen_one(dtype, half);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(wide)) << half;
      ASSERT_EQ(narrow_one(dtype, wide), canonical_nan);
      continue;
    }
    ASSERT_EQ(static_cast<double>(wide), expected) << half;
    ASSERT_EQ(std::signbit(wide), (half & 0x8000) != 0) << half;
    ASSERT_EQ(narrow_one(dtype, wide), half);
  }
}

TEST(Convert, EveryF16WidensToItsMeaningAndBack) {
  expect_all_widen_and_return(DType::kF16, 5, 0x7e00);
}

TEST(Convert, EveryBf16WidensToItsMeaningAndBack) {
  expect_all_widen_and_return(DType::kBF16, 8, 0x7fc0);
}

// Between each two neighbours: the exact middle goes to the even one, one ulp beside it to the nearer.
void expect_ties_to_even(DType dtype, std::uint16_t infinity) {
  for (std::uint16_t low = 0; low < infinity; ++low) {
    const auto high = static_cast<std::uint16_t>(low + 1);
    const double above = high == infinity ? 2.0 * static_cast<double>(widen_one(dtype, low)) -
                                                static_cast<double>(widen_one(dtype, low - 1))
                                          : static_cast<double>(widen_one(dtype, high));
    const double middle = (static_cast<double>(widen_one(dtype, low)) + above) / 2;
    const auto wide = static_cast<float>(middle);
    ASSERT_EQ(static_cast<double>(wide), middle);  // a middle is a binary32 too
    const std::uint16_t even = low % 2 == 0 ? low : high;
    ASSERT_EQ(narrow_one(dtype, wide), even) << low;
    ASSERT_EQ(narrow_one(dtype, std::nextafterf(wide, 0.0f)), low) << low;
    ASSERT_EQ(narrow_one(dtype, std::nextafterf(wide, INFINITY)), high) << low;
    ASSERT_EQ(narrow_one(dtype, -wide), even | 0x8000) << low;
  }
}

TEST(Convert, F16RoundsTiesToEvenEverywhere) {
  expect_ties_to_even(DType::kF16, 0x7c00);
}

TEST(Convert, Bf16RoundsTiesToEvenEverywhere) {
  expect_ties_to_even(DType::kBF16, 0x7f80);
}

TEST(Convert, Bf16VectorsOfThePublishedConversion) {
  const std::pair<std::uint32_t, std::uint16_t> vectors[] = {
      {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80},
      {0x7f7fffff, 0x7f80}, {0x7f7f7fff, 0x7f7f}, {0x7f800001, 0x7fc0}, {0x00008000, 0x0000},
      {0x00008001, 0x0001}, {0x80000000, 0x8000}, {0x40490fdb, 0x4049}, {0xffffffff, 0x7fc0},
      {0x7fffffff, 0x7fc0}, {0xff800000, 0xff80}};
  for (const auto& [wide, half] : vectors) EXPECT_EQ(narrow_one(DType::kBF16, from_bits(wide)), half);
}

TEST(Convert, F16Edges) {
  EXPECT_EQ(narrow_one(DType::kF16, 65504.0f), 0x7bff);
  EXPECT_EQ(narrow_one(DType::kF16, from_bits(0x477fefff)), 0x7bff);
  EXPECT_EQ(narrow_one(DType::kF16, 65520.0f), 0x7c00);
  EXPECT_EQ(narrow_one(DType::kF16, 3.4e38f), 0x7c00);
  EXPECT_EQ(narrow_one(DType::kF16, -INFINITY), 0xfc00);
  EXPECT_EQ(narrow_one(DType::kF16, 0x1p-25f), 0x0000);
  EXPECT_EQ(narrow_one(DType::kF16, 0x1.000002p-25f), 0x0001);
  EXPECT_EQ(narrow_one(DType::kF16, -0x1p-149f), 0x8000);
  EXPECT_EQ(narrow_one(DType::kF16, from_bits(0xff800001)), 0x7e00);
}

TEST(Convert, F32IsCopiedBitForBit) {
  Bytes raw;
  for (const std::uint32_t bits : {0x7f800001u, 0xffc12345u, 0x80000000u, 0x00000001u}) append_le(raw, bits);
  EXPECT_EQ(narrow(DType::kF32, widen(DType::kF32, raw)), raw);
}

TEST(Convert, RefusesTornElementsAndIntegers) {
  EXPECT_THROW(widen(DType::kBF16, Bytes(3)), Error);
  EXPECT_THROW(widen(DType::kF32, Bytes(6)), Error);
  EXPECT_THROW(widen(DType::kI32, Bytes(4)), Error);
  EXPECT_THROW(widen(DType::kU8, Bytes(4)), Error);
  EXPECT_TRUE(widen(DType::kF16, {}).empty());
  EXPECT_TRUE(narrow(DType::kF16, Buffer()).empty());
}

TEST(DTypeNames, RoundTripAndRefuseOthers) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI32, DType::kU8, DType::kI64})
    EXPECT_EQ(dtype_from_name(name(dtype)), dtype);
  for (const char* bad : {"", "f32", "F64", "F32 ", "BF1"}) EXPECT_THROW(dtype_from_name(bad), Error);
  EXPECT_EQ(size_of(DType::kBF16), 2u);
  EXPECT_EQ(size_of(DType::kI32), 4u);
  EXPECT_EQ(size_of(DType::kU8), 1u);
  EXPECT_EQ(size_of(DType::kI64), 8u);
}

TEST(ElementCount, IsTheProductOrAnError) {
  constexpr std::int64_t kMost = std::int64_t{1} << 60;
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({3, 4, 5}), 60);
  EXPECT_EQ(element_count({kMost}), kMost);
  EXPECT_EQ(element_count({std::int64_t{1} << 30, std::int64_t{1} << 30}), kMost);
  EXPECT_EQ(element_count({7, 0, 1 << 30}), 0);
  EXPECT_THROW(element_count({kMost, 2}), Error);
  EXPECT_THROW(element_count({kMost + 1}), Error);
  EXPECT_THROW(element_count({3037000500, 3037000500}), Error);
  // The bytes of what is taken never wrap: 2^62 floats would take none at all.
  EXPECT_EQ(byte_size({"w", DType::kF32, {kMost}}), std::uint64_t{1} << 62);
  EXPECT_THROW(byte_size({"w", DType::kF32, {std::int64_t{1} << 31, std::int64_t{1} << 31}}), Error);
  EXPECT_THROW(element_count({0, kMost, kMost}), Error);
  EXPECT_THROW(element_count({2, -1}), Error);
  EXPECT_THROW(element_count({0, std::numeric_limits<std::int64_t>::min()}), Error);
}

TEST(TensorSpec, IsDescribedInOneLine) {
  EXPECT_EQ(describe({"model.norm.weight", DType::kF32, {64}}), "model.norm.weight F32 [64]");
  EXPECT_EQ(describe({"w", DType::kBF16, {2, 3}}), "w BF16 [2, 3]");
  EXPECT_EQ(describe({"s", DType::kF16, {}}), "s F16 []");
  EXPECT_EQ(byte_size({"w", DType::kBF16, {2, 3}}), 12u);
}

}  // namespace
}  // namespace aftune
