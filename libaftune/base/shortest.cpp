#include "base/shortest.h"

#include <charconv>
#include <cmath>

namespace aftune {

double shortest(float value) {
  if (!std::isfinite(value)) return static_cast<double>(value);
  char digits[32];
  const char* end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  double wide = 0;
  std::from_chars(digits, end, wide);
  return wide;
}

}  // namespace aftune
