#pragma once

#include <cstdint>

#include "audit/bounds.h"
#include "base/accelerator.h"

namespace aftune::audit {

struct CalibrateOptions {
  Accelerator* accelerator = nullptr;  ///< whose products are measured; required
  int threads = 1;                     ///< for the processor's, beside which they are put
  std::int64_t created = 0;            ///< unix seconds
  std::uint64_t seed = 0;              ///< of the first sample; the others follow
  bool quiet = false;
};

/// Measures native products of a device against their definition, on products of the shapes that models have
/// and of factors whose magnitudes vary, and states the bound that follows. Buffers must be made in the
/// device's memory (device::Chosen). Throws Error{kDevice} if the device cannot, or if what it gives is not
/// what f32 sums give.
Bounds calibrate(const CalibrateOptions& options);

}  // namespace aftune::audit
