#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "audit/log_view.h"
#include "kernels/profile.h"

namespace aftune::audit {

/// `max_memory`, or what the machine has if that is 0: a claim of the provider's must not end the audit.
/// 0: unknown.
std::uint64_t memory_bound(std::uint64_t max_memory);

/// Whether arithmetic will do whose bits nothing defines. Where bits are compared it will not.
enum class Native { kRefused, kAllowed };

/// Why this build cannot compute what the run did: another numerics profile, unknown ops, or not those that
/// its config needs. Empty if it can.
std::string unsupported_arithmetic(const std::string& profile, const std::vector<std::string>& ops,
                                   const std::string& config, const record::Recipe& recipe = {},
                                   Native native = Native::kRefused);
inline std::string unsupported_arithmetic(const record::Manifest& manifest,
                                          Native native = Native::kRefused) {
  return unsupported_arithmetic(manifest.profile, manifest.ops, manifest.config, manifest.recipe, native);
}
/// The profile of a run whose arithmetic is supported.
kernels::Profile profile_of(const std::string& profile);
inline kernels::Profile profile_of(const record::Manifest& manifest) {
  return profile_of(manifest.profile);
}

}  // namespace aftune::audit
