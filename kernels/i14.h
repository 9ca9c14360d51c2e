#pragma once

// Matrix products of profile i14 (docs/numerics.products.md): both factors are quantised by groups of the
// contracted index, the groups' dot products are exact integers. Every result is defined to the bit, whatever
// the threads, the instruction set or the tile shapes. Tensors are row-major f32, as in kernels/ops.h. A NaN
// or an infinity makes every element of the product that depends on it NaN.

#include <cstdint>
#include <memory>

#include "base/parallel.h"
#include "kernels/ops.h"

namespace aftune::kernels {

/// What G, the length of a group, may be. It decides bits.
inline constexpr int kI14Groups[] = {128, 256, 512, 1024};
inline constexpr int kDefaultI14Group = 256;

/// True if `group` is one of the lengths that a group may have.
bool is_i14_group(std::int64_t group);

/// Which factor of a product: its indices are the rows of the product (left) or its columns (right).
enum class Side { kLeft, kRight };

struct PackedFactor;
class DeviceFactor;

/// One operand of products, quantised and laid out for the processor. It takes about half of the operand's
/// memory, keeps it when it is quantised anew, and may be used in any number of products, by several threads.
class I14Factor {
 public:
  I14Factor();
  I14Factor(I14Factor&&) noexcept;
  I14Factor& operator=(I14Factor&&) noexcept;
  ~I14Factor();

  /// The rows of x[n, depth] are the factor's indices, depth is contracted as one chain: x (left) and w
  /// (right) of linear, dy (left) of linear_grad_input.
  void quantise_rows(ThreadPool& pool, Side side, std::int64_t n, std::int64_t depth, const float* x,
                     int group = kDefaultI14Group);
  /// The columns of x[depth, n] are the factor's indices, its rows are contracted as one chain: w (right) of
  /// linear_grad_input.
  void quantise_columns(ThreadPool& pool, Side side, std::int64_t n, std::int64_t depth, const float* x,
                        int group = kDefaultI14Group);
  /// The same with a chain, and so new groups, for the rows [chain_starts[c], chain_starts[c + 1]) of x,
  /// which has chains + 1 ascending offsets: dy (left) and x (right) of linear_grad_weight.
  void quantise_columns(ThreadPool& pool, Side side, std::int64_t n, std::int64_t chains,
                        const std::int64_t* chain_starts, const float* x, int group = kDefaultI14Group);

  /// The number of its indices.
  std::int64_t extent() const;

 private:
  friend void multiply_i14(ThreadPool&, const I14Factor&, const I14Factor&, float*, Into);
  std::unique_ptr<PackedFactor> packed_;
  std::unique_ptr<DeviceFactor> on_device_;  ///< in place of it, if a device quantised
};

/// c[left.extent, right.extent]: the product is stored or added; of several chains each is added, in order.
/// Both factors have the same chains and the same group.
void multiply_i14(ThreadPool& pool, const I14Factor& left, const I14Factor& right, float* c, Into into);

/// The products of kernels/ops.h in this arithmetic; both operands are quantised for this product alone.
void linear_i14(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out, const float* x,
                const float* w, float* y, Into into = Into::kStore, int group = kDefaultI14Group);
void linear_grad_input_i14(ThreadPool& pool, std::int64_t n, std::int64_t in, std::int64_t out,
                           const float* dy, const float* w, float* dx, Into into,
                           int group = kDefaultI14Group);
void linear_grad_weight_i14(ThreadPool& pool, std::int64_t rows, const std::int64_t* row_starts,
                            std::int64_t in, std::int64_t out, const float* dy, const float* x, float* dw,
                            int group = kDefaultI14Group);

/// The products of kernels/ops.h in the arithmetic of a profile.
void linear(ThreadPool& pool, const Profile& profile, std::int64_t n, std::int64_t in, std::int64_t out,
            const float* x, const float* w, float* y, Into into = Into::kStore);
void linear_grad_input(ThreadPool& pool, const Profile& profile, std::int64_t n, std::int64_t in,
                       std::int64_t out, const float* dy, const float* w, float* dx, Into into);
void linear_grad_weight(ThreadPool& pool, const Profile& profile, std::int64_t rows,
                        const std::int64_t* row_starts, std::int64_t in, std::int64_t out, const float* dy,
                        const float* x, float* dw);

}  // namespace aftune::kernels
