#pragma once

#include <cstring>
#include <utility>
#include <vector>

#include "audit/single_op.h"
#include "base/bytes.h"
#include "base/error.h"
#include "tensor/tensor.h"

// What the forms of operations (op_forms.h) are written with.
namespace aftune::audit {

using Tensors = std::vector<OpTensor>;

template <class... Parts>
inline void require(bool holds, const Parts&... why) {
  if (!holds) fail(Fault::kEvidence, why...);
}

inline TensorSpec f32(Shape shape) {
  return {"", DType::kF32, std::move(shape)};
}
inline TensorSpec i32(std::int64_t count) {
  return {"", DType::kI32, {count}};
}
inline TensorSpec f64() {
  return {"", DType::kU8, {8}};
}

inline const float* floats(const OpTensor& tensor) {
  return tensor.values.data();
}
inline float* floats(OpTensor& tensor) {
  return tensor.values.data();
}
inline std::vector<std::int32_t> ints(const OpTensor& tensor) {
  std::vector<std::int32_t> list(static_cast<std::size_t>(tensor.values.size()));
  std::memcpy(list.data(), tensor.values.data(), list.size() * sizeof(std::int32_t));
  return list;
}
inline double real(const OpTensor& tensor) {
  return load_le<double>(tensor.values.bytes().data());
}
inline void set_real(OpTensor& tensor, double value) {
  std::memcpy(tensor.values.data(), &value, sizeof value);
}
inline void copy(const OpTensor& from, OpTensor& to) {
  AFTUNE_CHECK(from.values.size() == to.values.size());
  std::memcpy(to.values.data(), from.values.data(), from.values.bytes().size());
}

}  // namespace aftune::audit
