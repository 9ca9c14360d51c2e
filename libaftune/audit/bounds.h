#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"
#include "record/leaves.h"

namespace aftune::audit {

/// How far the products of one device and library were found to be from their definition, on one shape.
struct BoundSample {
  std::string product;  ///< linear, grad-input or grad-weight
  std::int64_t rows = 0, cols = 0, depth = 0;
  std::uint64_t seed = 0;
  double worst = 0;  ///< of an element, in kernels::native_unit times the norms of its factors
};

/// A bounds file (schemas/bounds.json): what a verifier lets native products differ by, and where that comes
/// from. It is the auditor's own, or from someone whom it trusts: a bound that is too large hides more.
struct Bounds {
  record::NativeMachine machine;
  std::string software;      ///< which program measured
  std::int64_t created = 0;  ///< unix seconds
  std::vector<BoundSample> samples;
  /// Two times the worst of them, and at least kLeast.
  double bound = 0;
  Digest digest;  ///< BLAKE3 of the canonical text without its member "digest"

  static constexpr double kMargin = 2;
  /// Half a unit in the last place of one f32 product: no sum is better.
  static constexpr double kLeast = 1;
  /// Sums that are off by more were not made in f32.
  static constexpr double kMost = 4096;
};

/// The bound that follows from the samples.
double bound_of(const std::vector<BoundSample>& samples);
/// Canonical text, with its digest.
std::string to_text(const Bounds& bounds);
/// Strict: every member, in bounds, the bound that follows from the samples, the digest of the text. Throws
/// Error{kEvidence}.
Bounds parse_bounds(std::string_view text);
inline constexpr std::size_t kMaxBoundsBytes = std::size_t{1} << 20;

}  // namespace aftune::audit
