#include "audit/limits.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "kernels/ops.h"

namespace aftune::audit {

std::uint64_t memory_bound(std::uint64_t max_memory) {
  if (max_memory != 0) return max_memory;
  const long pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGE_SIZE);
  return pages > 0 && size > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size) : 0;
}

std::string unsupported_arithmetic(const record::Manifest& manifest) {
  const auto profile = kernels::profile_from_name(manifest.profile);
  // The manifest states the whole name, with what a short one leaves out.
  if (!profile || name(*profile) != manifest.profile) return cat("profile ", manifest.profile, ": unknown");
  const std::vector<std::string> known = kernels::op_names(*profile);
  if (manifest.ops == known) return "";
  std::string unknown;
  for (const std::string& op : manifest.ops)
    if (!std::binary_search(known.begin(), known.end(), op)) unknown += " " + op;
  return cat("profile ", manifest.profile,
             unknown.empty() ? ": not this build's list of ops" : ": unknown ops:" + unknown);
}

kernels::Profile profile_of(const record::Manifest& manifest) {
  const auto profile = kernels::profile_from_name(manifest.profile);
  AFTUNE_CHECK(profile.has_value());
  return *profile;
}

}  // namespace aftune::audit
