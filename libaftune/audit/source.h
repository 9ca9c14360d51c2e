#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "record/salts.h"
#include "tensor/tensor.h"

namespace aftune::audit {

/// The two tensors of a boundary at one step.
enum class Side { kActivation, kGradient };
inline record::Role role_of(Side side) {
  return side == Side::kActivation ? record::Role::kActivation : record::Role::kGradient;
}

/// Where the tensors that leaves speak of come from: a trace at hand, or an evidence file. What is read is
/// the provider's bytes and nothing has compared it with a digest yet. Reading throws Rejection: `absent`, or
/// `format` if the file is not what it must be. May be used from several threads.
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  /// Whether each cell comes with all that its replay needs. Else a replay begins at the nearest snapshot.
  virtual bool holds_cells() const = 0;
  /// Whether there is a snapshot of state s; one that lacks a tensor counts, and reading then says which.
  virtual bool has_state(std::int64_t s) = 0;
  /// Whether the boundaries of step block s are stored; as above.
  virtual bool has_boundaries(std::int64_t s) = 0;

  /// Elements of a tensor of state s from `first` on, as many as fill `out`.
  virtual void read_state(std::int64_t s, const TensorSpec& spec, std::int64_t first,
                          std::span<std::byte> out) = 0;
  /// Rows [first, first + out.rows) of a boundary of [tokens, out.cols].
  virtual void read_boundary(Side side, std::int64_t t, int boundary, std::int64_t tokens, std::int64_t first,
                             Matrix& out) = 0;
  /// `what` is layout, tokens or labels; at most max_count numbers.
  virtual std::vector<std::int32_t> read_ints(std::int64_t t, const std::string& what,
                                              std::int64_t max_count) = 0;

  /// All images of a step, [out.rows, out.cols].
  virtual void read_pixels(std::int64_t t, Matrix& out) = 0;

  /// Names of the objects, for reasons. `what` may be pixels too.
  virtual std::string state_name(std::int64_t s, const std::string& tensor) = 0;
  virtual std::string boundary_name(Side side, std::int64_t t, int boundary) = 0;
  virtual std::string ints_name(std::int64_t t, const std::string& what) = 0;
};

}  // namespace aftune::audit
