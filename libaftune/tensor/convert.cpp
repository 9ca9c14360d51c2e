#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "tensor/tensor.h"

namespace aftune {
namespace {

std::uint32_t widen_bf16(std::uint16_t half) {
  return std::uint32_t{half} << 16;
}

// Every f16, subnormals included, is a normal f32. Shifted into place, its exponent is 112 too small; the
// product by 2^112 is exact and normalises subnormals too.
std::uint32_t widen_f16(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000u) << 16;
  const std::uint32_t magnitude = (half & 0x7fffu) << 13;
  const std::uint32_t finite = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  return sign | ((half & 0x7c00u) == 0x7c00u ? magnitude | 0x7f800000u : finite);
}

std::uint16_t narrow_bf16(std::uint32_t bits) {
  const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
  const std::uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  return static_cast<std::uint16_t>(nan ? 0x7fc0u : rounded);
}

std::uint16_t narrow_f16(std::uint32_t bits) {
  constexpr std::uint32_t kLeastNormal = 0x38800000;  // 2^-14
  constexpr std::uint32_t kHalfway = 0x477ff000;      // 65520: from here on the nearest even is infinity
  constexpr std::uint32_t kRebias = 112u << 23;
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  // Below 2^-14: the unit in the last place of the sum with 1/2 is 2^-24, the f16 subnormal step, so the
  // addition rounds to it.
  const std::uint32_t subnormal =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  const std::uint32_t normal = (magnitude - kRebias + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
  std::uint32_t half = magnitude < kLeastNormal ? subnormal : normal;
  if (magnitude >= kHalfway) half = 0x7c00u;
  return static_cast<std::uint16_t>(magnitude > 0x7f800000u ? 0x7e00u : sign | half);
}

template <std::uint32_t (*kWiden)(std::uint16_t)>
void widen_all(const std::byte* from, std::int64_t count, float* to) {
  for (std::int64_t i = 0; i < count; ++i)
    to[i] = std::bit_cast<float>(kWiden(load_le<std::uint16_t>(from + 2 * i)));
}

template <std::uint16_t (*kNarrow)(std::uint32_t)>
void narrow_all(const Buffer& from, Bytes& to) {
  const float* in = from.data();
  std::byte* out = to.data();
  for (std::int64_t i = 0; i < from.size(); ++i) {
    const std::uint16_t half = kNarrow(std::bit_cast<std::uint32_t>(in[i]));
    std::memcpy(out + 2 * i, &half, sizeof(half));
  }
}

}  // namespace

void widen(DType dtype, ByteView bytes, float* to) {
  AFTUNE_CHECK(dtype == DType::kF16 || dtype == DType::kBF16);
  const auto count = static_cast<std::int64_t>(bytes.size() / 2);
  if (dtype == DType::kF16)
    widen_all<widen_f16>(bytes.data(), count, to);
  else
    widen_all<widen_bf16>(bytes.data(), count, to);
}

Buffer widen(DType dtype, ByteView bytes) {
  if (!is_float(dtype))
    fail(Fault::kEvidence, "a tensor of ", name(dtype), " holds no floating-point numbers");
  if (bytes.size() % size_of(dtype) != 0)
    fail(Fault::kEvidence, bytes.size(), " bytes are no whole number of ", name(dtype), " elements");
  Buffer out(static_cast<std::int64_t>(bytes.size() / size_of(dtype)));
  if (out.empty()) return out;
  if (dtype == DType::kF32)
    std::memcpy(out.data(), bytes.data(), bytes.size());
  else
    widen(dtype, bytes, out.data());
  return out;
}

Buffer widen(ThreadPool& pool, const Narrow& values) {
  constexpr std::size_t kPiece = std::size_t{1} << 19;  // bytes
  const ByteView all(values.bytes);
  Buffer out(static_cast<std::int64_t>(all.size() / 2));
  pool.wait_for_accelerator();
  pool.run(static_cast<std::int64_t>((all.size() + kPiece - 1) / kPiece), [&](std::int64_t i) {
    const std::size_t from = static_cast<std::size_t>(i) * kPiece;
    widen(values.dtype, all.subspan(from, std::min(kPiece, all.size() - from)), out.data() + from / 2);
  });
  return out;
}

Bytes narrow(DType dtype, const Buffer& values) {
  AFTUNE_CHECK(is_float(dtype));
  Bytes out(static_cast<std::size_t>(values.size()) * size_of(dtype));
  if (dtype == DType::kF32 && !out.empty()) std::memcpy(out.data(), values.data(), out.size());
  if (dtype == DType::kF16) narrow_all<narrow_f16>(values, out);
  if (dtype == DType::kBF16) narrow_all<narrow_bf16>(values, out);
  return out;
}

}  // namespace aftune
