#pragma once

// The products of profile native (docs/numerics.native.md): factors rounded to bf16, and then whatever the
// device's own library makes of them. Its bits are those of that device and library. Elsewhere the products
// have the definition that is computed here on the processor: the chains of matmul-f32/1 over the rounded
// factors. Tensors are as in kernels/ops.h.

#include <cstdint>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "kernels/ops.h"

namespace aftune::kernels {

/// The name under which manifests list these products. It has no version: nothing defines their bits.
inline constexpr char kNativeProduct[] = "linear_bf16/native";

/// What decides the bits of native products besides their factors.
struct NativeMachine {
  std::string device;      ///< "NVIDIA H200"
  std::string capability;  ///< "9.0"
  std::string library;     ///< "cuBLAS 13.1.0"
  friend bool operator==(const NativeMachine&, const NativeMachine&) = default;
};
/// Of the pool's device; its library is opened. Throws Error{kUsage} if the pool has none, Error{kDevice}
/// that names the library if that cannot be used.
NativeMachine native_machine(const ThreadPool& pool);

void linear_native(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out, const float* x,
                   const float* w, float* y, Into into);
void linear_grad_input_native(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out,
                              const float* dy, const float* w, float* dx, Into into);
void linear_grad_weight_native(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts,
                               std::int64_t in, std::int64_t out, const float* dy, const float* x, float* dw);

/// A factor as the processor's products take it. The pool has no device.
std::vector<float> rounded_bf16(ThreadPool& pool, std::int64_t count, const float* x);

// --- How far one machine's products may be from another's.

/// Euclidean norms of the rows of x[n, depth], or of the columns of x[depth, n], rounded to bf16 first. In
/// binary64; these are no part of a record.
std::vector<double> native_norms(ThreadPool& pool, std::int64_t n, std::int64_t depth, const float* x,
                                 bool columns);
/// What a bound is a multiple of: 2^-24 sqrt(depth), to be multiplied by the norms of the two factors.
double native_unit(std::int64_t depth);

/// Makes the products of a replay differ from their definition as another machine's may: every element of an
/// activation or a gradient is rounded to one of its two neighbours at random, and every result is moved by
/// the bound. (Weights are committed to: all machines round the same ones.) What is random follows from seed
/// and product alone, so that two auditors agree.
struct Perturbation {
  /// Which way results are moved: as the signs fall, or all of them towards zero (as by adders that cut off)
  /// or away from it.
  enum class Lean { kRandom, kTowardsZero, kAwayFromZero };
  bool active = false;  ///< else products are as defined
  double bound = 0;     ///< of an element, in native_unit times norms
  Lean lean = Lean::kRandom;
  std::uint64_t seed = 0;
  std::uint32_t product = 0;  ///< counts products
};
/// As the functions above, on the pool's threads; the pool has no device.
void linear_perturbed(ThreadPool& pool, Perturbation& by, std::int64_t n, std::int64_t in, std::int64_t out,
                      const float* x, const float* w, float* y, Into into);
void linear_grad_input_perturbed(ThreadPool& pool, Perturbation& by, std::int64_t n, std::int64_t in,
                                 std::int64_t out, const float* dy, const float* w, float* dx, Into into);
void linear_grad_weight_perturbed(ThreadPool& pool, Perturbation& by, std::int64_t rows,
                                  const std::int64_t* row_starts, std::int64_t in, std::int64_t out,
                                  const float* dy, const float* x, float* dw);

}  // namespace aftune::kernels
