#pragma once

// The few functions of cuBLAS that are used. The library is opened when something needs it, never linked:
// programs start where there is none, and mapping it takes half a second and 200 MB.

#include <cstdint>
#include <string>

#include "kernels/cuda/stream.h"

namespace aftune::kernels::cuda {

/// Matrices are at 16-byte boundaries, and what they are padded with is zeros. Products are of rows: the
/// factors are a[rows, depth] and b[cols, depth], c is [rows, cols].
inline constexpr std::int64_t kCublasPad = 16;
constexpr std::int64_t cublas_padded(std::int64_t extent) {
  return (extent + kCublasPad - 1) / kCublasPad * kCublasPad;
}

/// cuBLAS for calls on one stream of the device that is current. Calls are queued and return at once; they
/// throw Error{kDevice} if the library refuses. One at a time.
class Cublas {
 public:
  /// Whether the library can be opened. It is looked for once, by the name that the headers give it, or where
  /// AFTUNE_CUBLAS in the environment says.
  static bool is_there();

  /// Throws Error{kDevice} that names the library if it cannot be opened, or that says why it cannot be used.
  explicit Cublas(Stream stream);
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;
  ~Cublas();

  /// "cuBLAS 13.1.0": of the library that was opened, whatever the headers were.
  const std::string& version() const { return version_; }

  /// c = a b^T of 8-bit integers, exact as long as 32 bits hold the sums. cols and depth are multiples of
  /// kCublasPad.
  void multiply_int8(std::int64_t rows, std::int64_t cols, std::int64_t depth, const std::int8_t* a,
                     const std::int8_t* b, std::int32_t* c);

  /// A factor of bf16 numbers: an index in a row of `stride`, or the other way round.
  struct Bf16 {
    const std::uint16_t* values = nullptr;
    std::int64_t stride = 0;
    bool by_columns = false;
  };
  /// c = a b^T in f32, c's rows being c_stride apart; how it adds is the library's own affair.
  void multiply_bf16(std::int64_t rows, std::int64_t cols, std::int64_t depth, const Bf16& a, const Bf16& b,
                     float* c, std::int64_t c_stride);

 private:
  void* handle_ = nullptr;
  void* workspace_ = nullptr;
  std::string version_;
};

}  // namespace aftune::kernels::cuda
