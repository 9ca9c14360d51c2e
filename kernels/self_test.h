#pragma once

#include <cstdint>
#include <span>

#include "base/parallel.h"
#include "kernels/ops.h"

namespace aftune::kernels {

/// What an op must give on fixed inputs, on every target: the digest of the bits of its outputs.
struct KnownAnswer {
  const char* op;
  std::uint64_t digest;
  std::uint64_t (*compute)(ThreadPool& pool);
  /// Which runs list the op.
  enum class Use {
    kAlways,
    kI14,
    kNative,
    kBias,
    kAdapter,
    kRmsNorm,
    kRope,
    kSwiGlu,
    kLayerNorm,
    kGelu,
    kGeluTanh,
    kImage,
    kLayerScale,
    kClassMean
  } use = Use::kAlways;
};

/// One for each op, sorted by name; op_names is the list of the profile's names.
std::span<const KnownAnswer> known_answers();
/// The first op whose digest differs, or null.
const char* first_difference(ThreadPool& pool, std::span<const KnownAnswer> answers);

}  // namespace aftune::kernels
