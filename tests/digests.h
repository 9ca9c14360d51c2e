#pragma once

#include "base/bytes.h"

namespace aftune::testing_support {

/// A digest that no bytes have, told from others by what fills it.
inline Digest digest(int fill) {
  Digest d;
  d.bytes.fill(static_cast<std::uint8_t>(fill));
  return d;
}

}  // namespace aftune::testing_support
