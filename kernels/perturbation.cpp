// Products of native numerics as another machine might have formed them (native.h, Perturbation).

#include <bit>
#include <cmath>

#include "base/error.h"
#include "base/philox.h"
#include "kernels/chunks.h"
#include "kernels/native.h"

namespace aftune::kernels {
namespace {

// What a random bit is for; part of its counter. These numbers are in no record.
enum class Draw : std::uint32_t { kLeft = 1, kRight = 2, kSign = 3 };
constexpr std::uint32_t kPurpose = 0x70000000;
constexpr std::int64_t kBits = 128;  // of one block

/// body(i, bit) for i in [0, n), with a random bit for each.
template <class Body>
void each_with_bit(ThreadPool& pool, const Perturbation& by, Draw draw, std::int64_t n, const Body& body) {
  constexpr std::int64_t kGrain = 64;
  for_chunks(pool, (n + kBits - 1) / kBits, kGrain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t block = first; block < last; ++block) {
      const auto at = static_cast<std::uint64_t>(block);
      const PhiloxBlock words = philox({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at >> 32),
                                        by.product, kPurpose | static_cast<std::uint32_t>(draw)},
                                       by.seed);
      const std::int64_t begin = block * kBits, end = std::min(n, begin + kBits);
      for (std::int64_t i = begin; i < end; ++i) {
        const auto bit = static_cast<std::size_t>(i - begin);
        body(i, ((words[bit / 32] >> (bit % 32)) & 1u) != 0);
      }
    }
  });
}

/// x, or one of the two bf16 numbers beside it.
float neighbour(float x, bool away_from_zero) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t inner = bits & 0xffff0000u, outer = inner + 0x10000u;
  const bool exact = bits == inner || !std::isfinite(x);
  const bool has_outer = (outer & 0x7f800000u) != 0x7f800000u;
  if (exact) return x;
  return std::bit_cast<float>(away_from_zero && has_outer ? outer : inner);
}

std::vector<float> rounded_at_random(ThreadPool& pool, const Perturbation& by, Draw draw, std::int64_t count,
                                     const float* x) {
  std::vector<float> y(static_cast<std::size_t>(count));
  each_with_bit(pool, by, draw, count,
                [&](std::int64_t i, bool bit) { y[static_cast<std::size_t>(i)] = neighbour(x[i], bit); });
  return y;
}

/// A product [rows, cols] of factors, and how they lie.
struct Moved {
  std::int64_t rows = 0, cols = 0, depth = 0;
  const float *left = nullptr, *right = nullptr;
  bool left_columns = false, right_columns = false;
};

/// Stores or adds the product, each element of it moved by its bound.
void move(ThreadPool& pool, Perturbation& by, const Moved& of, const std::vector<float>& product, float* c,
          bool add) {
  const std::vector<double> left = native_norms(pool, of.rows, of.depth, of.left, of.left_columns);
  const std::vector<double> right = native_norms(pool, of.cols, of.depth, of.right, of.right_columns);
  const double unit = by.bound * native_unit(of.depth);
  each_with_bit(pool, by, Draw::kSign, of.rows * of.cols, [&](std::int64_t i, bool bit) {
    const float p = product[static_cast<std::size_t>(i)];
    const double far =
        unit * left[static_cast<std::size_t>(i / of.cols)] * right[static_cast<std::size_t>(i % of.cols)];
    const bool grows =
        by.lean == Perturbation::Lean::kRandom ? bit : by.lean == Perturbation::Lean::kAwayFromZero;
    const auto moved = static_cast<float>(double{p} + std::copysign(far, grows ? p : -p));
    c[i] = add ? c[i] + moved : moved;
  });
  ++by.product;
}

}  // namespace

void linear_perturbed(ThreadPool& pool, Perturbation& by, std::int64_t n, std::int64_t in, std::int64_t out,
                      const float* x, const float* w, float* y, Into into) {
  if (!by.active) return linear_native(pool, n, in, out, x, w, y, into);
  std::vector<float> product(static_cast<std::size_t>(n * out));
  linear(pool, n, in, out, rounded_at_random(pool, by, Draw::kLeft, n * in, x).data(),
         rounded_bf16(pool, out * in, w).data(), product.data());
  move(pool, by, {n, out, in, x, w, false, false}, product, y, into == Into::kAdd);
}

void linear_grad_input_perturbed(ThreadPool& pool, Perturbation& by, std::int64_t n, std::int64_t in,
                                 std::int64_t out, const float* dy, const float* w, float* dx, Into into) {
  if (!by.active) return linear_grad_input_native(pool, n, in, out, dy, w, dx, into);
  std::vector<float> product(static_cast<std::size_t>(n * in));
  linear_grad_input(pool, n, in, out, rounded_at_random(pool, by, Draw::kLeft, n * out, dy).data(),
                    rounded_bf16(pool, out * in, w).data(), product.data(), Into::kStore);
  move(pool, by, {n, in, out, dy, w, false, true}, product, dx, into == Into::kAdd);
}

// The rows' bounds together are at most the bound of all their tokens as one chain (Cauchy and Schwarz).
void linear_grad_weight_perturbed(ThreadPool& pool, Perturbation& by, std::int64_t rows,
                                  const std::int64_t* row_starts, std::int64_t in, std::int64_t out,
                                  const float* dy, const float* x, float* dw) {
  if (!by.active) return linear_grad_weight_native(pool, rows, row_starts, in, out, dy, x, dw);
  const std::int64_t tokens = row_starts[rows];
  std::vector<float> product(static_cast<std::size_t>(out * in), 0.0f);
  linear_grad_weight(pool, rows, row_starts, in, out,
                     rounded_at_random(pool, by, Draw::kLeft, tokens * out, dy).data(),
                     rounded_at_random(pool, by, Draw::kRight, tokens * in, x).data(), product.data());
  move(pool, by, {out, in, tokens, dy, x, true, true}, product, dw, true);
}

}  // namespace aftune::kernels
