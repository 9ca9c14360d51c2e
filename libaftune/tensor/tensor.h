#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/parallel.h"

namespace aftune {

/// Element types, by the names that safetensors uses. What the engine computes with is F32; U8 is text and
/// other bytes; I64 occurs in files of others only.
enum class DType { kF32, kF16, kBF16, kI32, kU8, kI64 };
bool is_float(DType dtype);
std::string_view name(DType dtype);
/// Throws Error{kEvidence} for a name not in the enum.
DType dtype_from_name(std::string_view name);
std::size_t size_of(DType dtype);

using Shape = std::vector<std::int64_t>;
/// Product of the dimensions. Throws Error{kEvidence} on a negative dimension or on overflow of 2^60.
std::int64_t element_count(const Shape& shape);

struct TensorSpec {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};
std::string describe(const TensorSpec& spec);  ///< "model.norm.weight F32 [64]"
inline std::uint64_t byte_size(const TensorSpec& s) {
  return static_cast<std::uint64_t>(element_count(s.shape)) * size_of(s.dtype);
}

/// Owned f32 elements, 64-byte aligned; contents undefined after construction unless zeroed. Construction
/// throws Error{kSystem} when there is no memory.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::int64_t count);
  static Buffer zeros(std::int64_t count);
  Buffer(Buffer&&) noexcept;
  Buffer& operator=(Buffer&&) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  float* data() { return data_; }
  const float* data() const { return data_; }
  std::int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  float& operator[](std::int64_t i) { return data_[i]; }
  float operator[](std::int64_t i) const { return data_[i]; }
  ByteView bytes() const {
    return {reinterpret_cast<const std::byte*>(data_), static_cast<std::size_t>(size_) * 4};
  }
  std::span<std::byte> mutable_bytes() {
    return {reinterpret_cast<std::byte*>(data_), static_cast<std::size_t>(size_) * 4};
  }
  Buffer clone() const;
  /// The same on the pool's threads.
  Buffer clone(ThreadPool& pool) const;
  /// Stores +0 everywhere, on the pool's threads.
  void clear(ThreadPool& pool);

 private:
  float* data_ = nullptr;
  std::int64_t size_ = 0;
};

/// Copies floats, by the pool's accelerator if it has one.
void copy(ThreadPool& pool, std::int64_t count, const float* from, float* to);

/// Large buffers that were freed are kept for the next of their size (block_cache.h); this returns them to
/// the system, for instance before memory is measured or a phase with other sizes begins.
void drop_kept_buffers();

/// From now on buffers lie where the accelerator reaches them; null: in the system's memory again. No buffer
/// may exist meanwhile that was made before.
void use_memory_of(Accelerator* accelerator);

/// A row-major f32 matrix [rows, cols]: activations of `rows` tokens.
struct Matrix {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  Buffer values;

  Matrix() = default;
  Matrix(std::int64_t r, std::int64_t c) : rows(r), cols(c), values(r * c) {}
  float* data() { return values.data(); }
  const float* data() const { return values.data(); }
  float* row(std::int64_t r) { return values.data() + r * cols; }
  const float* row(std::int64_t r) const { return values.data() + r * cols; }
  ByteView bytes() const { return values.bytes(); }
};

/// Exact widening to f32 of F32, F16 or BF16 little-endian bytes; a NaN keeps its payload. Throws
/// Error{kEvidence} for I32 and for bytes that are no whole number of elements.
Buffer widen(DType dtype, ByteView bytes);
/// The same of F16 or BF16 elements into `to`, which has room for them.
void widen(DType dtype, ByteView bytes, float* to);
/// Elements as they are on disk, in two bytes each, that are computed with in f32.
struct Narrow {
  DType dtype = DType::kF32;  ///< F16 or BF16
  Bytes bytes;
  bool empty() const { return bytes.empty(); }
};
/// The same of all elements, on the pool's threads.
Buffer widen(ThreadPool& pool, const Narrow& values);
/// Round-to-nearest-even narrowing to F16 or BF16 (F32: a copy); a NaN becomes the positive quiet NaN without
/// payload, 0x7e00 or 0x7fc0. `dtype` must not be I32.
Bytes narrow(DType dtype, const Buffer& values);

}  // namespace aftune
