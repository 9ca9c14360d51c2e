#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "audit/native_found.h"
#include "tensor/tensor.h"

namespace aftune::audit {

/// One tensor of a replay, and how far replays with perturbed products came from it: what a difference
/// to the recorded tensor is measured by. Replays are added one after the other, each whole.
class Spread {
 public:
  /// An element may be off by kOfElement times the sum of the largest distance that a replay had there and
  /// the root mean square of all replays' distances in its row (of the last dimension).
  static constexpr double kOfElement = 3;
  /// The root mean square of all elements may be kOfTensor times the largest that a replay had. Of a few
  /// elements it says too little.
  static constexpr double kOfTensor = 2;
  static constexpr std::int64_t kFewElements = 64;
  /// A tensor whose tolerance is more than this part of its own size is not compared: nothing would follow.
  static constexpr double kMostLoose = 0.5;

  Spread() = default;
  /// Of a tensor of this shape, all zeros.
  explicit Spread(const Shape& shape);

  /// The tensor itself, from its element `first` on.
  void set(std::int64_t first, std::span<const float> values);
  /// A replay's tensor, from its element `first` on.
  void add(std::int64_t first, std::span<const float> values);
  void end_replay();

  /// Of a single number, given how far each replay was from it.
  static double tolerance_of(std::span<const double> distances);

  std::span<const float> values() const { return values_; }
  double tolerance(std::int64_t element) const;
  /// Of a tensor, as a root mean square.
  double tolerance() const { return kOfTensor * largest_; }

  /// Why nothing would follow from a comparison; none if something does.
  std::optional<std::string> too_loose(Tolerances& tolerances) const;
  /// Where `distances`, one per element and not negative, are beyond their tolerances times `scale`, or their
  /// root mean square beyond the tensor's; a NaN is. None if nowhere.
  std::optional<std::string> difference(std::span<const double> distances, double scale,
                                        Tolerances& tolerances) const;
  /// The same, of the distances to another tensor.
  std::optional<std::string> difference(std::span<const float> others, Tolerances& tolerances) const;

 private:
  Shape shape_;
  std::int64_t cols_ = 1;
  std::vector<float> values_, most_;
  std::vector<double> row_squares_;  // over all replays
  double squares_ = 0;               // of the replay that is being added
  double largest_ = 0;               // root mean square of a replay
  std::int64_t replays_ = 0;
};

}  // namespace aftune::audit
