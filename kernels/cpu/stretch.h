#pragma once

#include <cstdint>

namespace aftune::kernels {

/// Consecutive values of the contracted index that belong to one chain, and where in the chain they lie.
struct Stretch {
  std::int64_t length = 0;
  bool begins = true;  ///< the chain starts here, at +0
  bool ends = true;    ///< the chain is complete after this: -0 becomes +0, then it is stored or added
  bool adds = false;   ///< the complete chain is added to what c holds
};

}  // namespace aftune::kernels
