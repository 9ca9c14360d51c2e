#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "record/normalisation.h"

namespace aftune::data {

/// What a model of images takes: square images, and a class of each.
struct ImageForm {
  std::int64_t channels = 0;
  std::int64_t size = 0;   ///< pixels on a side
  std::int64_t patch = 0;  ///< pixels on a patch's side, of which a side is made
  std::int32_t labels = 0;
  std::map<std::string, std::int32_t> label_ids;  ///< by name
  record::Normalisation normalisation;            ///< of as many channels

  std::int64_t pixels() const { return channels * size * size; }
  /// The class token and a patch each.
  std::int64_t positions() const { return 1 + (size / patch) * (size / patch); }
};

}  // namespace aftune::data
