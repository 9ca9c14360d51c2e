#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "record/leaves.h"

namespace aftune::audit {

/// What the tolerances of a native run came to (docs/audit.native.md).
struct Tolerances {
  double worst = 0;    ///< the largest part of a tolerance that a difference took; above 1: beyond it
  double loosest = 0;  ///< the largest tolerance of a tensor, in terms of its own size (root mean square)

  /// Whether a distance is within its tolerance; remembers how much of it that took. A NaN is not.
  bool holds(double distance, double tolerance);
};

/// How the cells of a native run came to be checked. Never exactly: nothing defines the bits of its products.
struct NativeFound {
  record::NativeMachine machine;   ///< on which the manifest says that it ran
  std::optional<Digest> bounds;    ///< of the bounds file that was given
  std::int64_t bit_for_bit = 0;    ///< cells checked whose every bit was the recorded one, on such a machine
  std::int64_t within_bounds = 0;  ///< cells checked within tolerances
  Tolerances tolerances;           ///< of the latter
};

}  // namespace aftune::audit
