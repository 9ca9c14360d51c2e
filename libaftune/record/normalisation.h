#pragma once

#include <vector>

#include "base/json.h"

namespace aftune::record {

/// What makes of an image's bytes what a model sees: (rescale * byte - mean) / std, mean and std by channel.
/// The product is in binary64, all else in binary32 (docs/numerics.md, "Images").
struct Normalisation {
  double rescale = 0;
  std::vector<float> mean, std;

  friend bool operator==(const Normalisation&, const Normalisation&) = default;
};

/// Whether all are finite, rescale and std above 0, and there is one of each for every channel.
bool is_sound(const Normalisation& normalisation);

Json to_json(const Normalisation& normalisation);
/// What a policy pins: BLAKE3 of the canonical form of that.
Digest digest_of(const Normalisation& normalisation);
/// Strict. Error{kEvidence}
Normalisation normalisation_from_json(const Json& json);

}  // namespace aftune::record
