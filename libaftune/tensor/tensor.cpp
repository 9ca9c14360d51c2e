#include "tensor/tensor.h"

#include "base/error.h"

namespace aftune {

std::string_view name(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "F32";
    case DType::kF16:
      return "F16";
    case DType::kBF16:
      return "BF16";
    case DType::kI32:
      return "I32";
    case DType::kU8:
      return "U8";
    case DType::kI64:
      return "I64";
  }
  return "unknown";
}

DType dtype_from_name(std::string_view text) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI32, DType::kU8, DType::kI64})
    if (name(dtype) == text) return dtype;
  fail(Fault::kEvidence, "element type \"", text, "\" is not one of F32, F16, BF16, I32, U8, I64");
}

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kF16:
    case DType::kBF16:
      return 2;
    case DType::kU8:
      return 1;
    case DType::kI64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      break;
  }
  return 4;
}

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

std::int64_t element_count(const Shape& shape) {
  // The bytes of as many elements of any type fit 63 bits.
  constexpr std::int64_t kMost = std::int64_t{1} << 60;
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0) fail(Fault::kEvidence, "a shape has the negative dimension ", dimension);
    if (dimension == 0) {
      empty = true;
      continue;
    }
    if (count > kMost / dimension) fail(Fault::kEvidence, "a shape has more than 2^60 elements");
    count *= dimension;
  }
  return empty ? 0 : count;
}

std::string describe(const TensorSpec& spec) {
  std::string out = cat(spec.name, ' ', name(spec.dtype), " [");
  for (std::size_t i = 0; i < spec.shape.size(); ++i) out += cat(i == 0 ? "" : ", ", spec.shape[i]);
  return out + ']';
}

}  // namespace aftune
