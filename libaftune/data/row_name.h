#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace aftune::data {

/// Row i (counted from 0) as messages name it: counted from 1, as editors and `sed -n` count lines.
inline std::string row_name(std::int64_t i) {
  return cat("row ", i + 1, " (line ", i + 1, ')');
}

}  // namespace aftune::data
