#include "audit/spread.h"

#include <algorithm>
#include <cmath>

#include "audit/block_state.h"
#include "base/error.h"

namespace aftune::audit {
namespace {

// Infinite where it is not a number: a maximum would pass over a NaN.
double distance_of(float a, float b) {
  const double distance = std::fabs(double{a} - double{b});
  return std::isnan(distance) ? HUGE_VAL : distance;
}

}  // namespace

bool Tolerances::holds(double distance, double tolerance) {
  if (distance == 0) return true;
  // A NaN is beyond everything, and nothing is within an infinite tolerance.
  constexpr double kFarBeyond = 1e9;
  double part = std::isfinite(tolerance) ? distance / tolerance : kFarBeyond;
  if (!(part >= 0 && part <= kFarBeyond)) part = kFarBeyond;
  worst = std::max(worst, part);
  return part <= 1;
}

Spread::Spread(const Shape& shape) : shape_(shape), cols_(shape.empty() ? 1 : shape.back()) {
  const auto count = static_cast<std::size_t>(element_count(shape));
  values_.resize(count);
  most_.resize(count);
  row_squares_.resize(cols_ == 0 ? 0 : count / static_cast<std::size_t>(cols_));
}

void Spread::set(std::int64_t first, std::span<const float> values) {
  std::copy(values.begin(), values.end(), values_.begin() + first);
}

void Spread::add(std::int64_t first, std::span<const float> values) {
  for (std::size_t j = 0; j < values.size(); ++j) {
    const std::size_t i = static_cast<std::size_t>(first) + j;
    const double distance = distance_of(values[j], values_[i]);
    most_[i] = std::max(most_[i], static_cast<float>(distance));
    row_squares_[i / static_cast<std::size_t>(cols_)] += distance * distance;
    squares_ += distance * distance;
  }
}

void Spread::end_replay() {
  const double size = static_cast<double>(std::max<std::size_t>(1, values_.size()));
  largest_ = std::max(largest_, std::sqrt(squares_ / size));
  squares_ = 0;
  ++replays_;
}

double Spread::tolerance(std::int64_t element) const {
  const auto i = static_cast<std::size_t>(element);
  const double in_row = row_squares_[i / static_cast<std::size_t>(cols_)] /
                        static_cast<double>(std::max<std::int64_t>(1, replays_ * cols_));
  return kOfElement * (double{most_[i]} + std::sqrt(in_row));
}

double Spread::tolerance_of(std::span<const double> distances) {
  double most = 0, squares = 0;
  for (const double distance : distances) {
    most = std::max(most, std::isnan(distance) ? HUGE_VAL : distance);
    squares += distance * distance;
  }
  return kOfElement *
         (most + std::sqrt(squares / static_cast<double>(std::max<std::size_t>(1, distances.size()))));
}

std::optional<std::string> Spread::too_loose(Tolerances& tolerances) const {
  if (tolerance() == 0) return std::nullopt;
  double squares = 0;
  for (const float value : values_) squares += double{value} * value;
  const double size = std::sqrt(squares / static_cast<double>(values_.size()));
  const double loose = tolerance() / size;
  if (!(loose <= kMostLoose))
    return cat("a tolerance of ", tolerance(), " in values of about ", size, " would show nothing");
  tolerances.loosest = std::max(tolerances.loosest, loose);
  return std::nullopt;
}

std::optional<std::string> Spread::difference(std::span<const double> distances, double scale,
                                              Tolerances& tolerances) const {
  AFTUNE_CHECK(distances.size() == values_.size());
  double squares = 0;
  for (std::size_t i = 0; i < distances.size(); ++i) {
    const double allowed = scale * tolerance(static_cast<std::int64_t>(i));
    squares += distances[i] * distances[i];
    if (!tolerances.holds(distances[i], allowed))
      return cat("element ", index_text(shape_, static_cast<std::int64_t>(i)), ": off by ", distances[i],
                 ", the tolerance is ", allowed);
  }
  if (std::ssize(values_) < kFewElements) return std::nullopt;
  const double size = std::sqrt(squares / static_cast<double>(distances.size()));
  if (tolerances.holds(size, scale * tolerance())) return std::nullopt;
  return cat("all elements: off by ", size, " (root mean square), the tolerance is ", scale * tolerance());
}

std::optional<std::string> Spread::difference(std::span<const float> others, Tolerances& tolerances) const {
  std::vector<double> distances(others.size());
  for (std::size_t i = 0; i < others.size(); ++i) distances[i] = distance_of(others[i], values_[i]);
  return difference(distances, 1.0, tolerances);
}

}  // namespace aftune::audit
