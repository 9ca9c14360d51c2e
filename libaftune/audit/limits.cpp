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

namespace {

// A config that does not parse is another check's.
kernels::OpUses uses_of(const std::string& config, const record::Recipe& recipe) {
  try {
    return model::op_uses(model::Config::parse(config), recipe);
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

std::string unsupported_arithmetic(const std::string& profile, const std::vector<std::string>& ops,
                                   const std::string& config, const record::Recipe& recipe, Native native) {
  const auto found = kernels::profile_from_name(profile);
  // The manifest states the whole name, with what a short one leaves out.
  if (!found || name(*found) != profile) return cat("profile ", profile, ": unknown");
  if (found->native && native == Native::kRefused)
    return "profile native: its bits are one device's own, and cannot be told here";
  const std::vector<std::string> known = kernels::op_names(*found, uses_of(config, recipe));
  if (ops == known) return "";
  std::string unknown;
  for (const std::string& op : ops)
    if (!std::binary_search(known.begin(), known.end(), op)) unknown += " " + op;
  return cat("profile ", profile,
             unknown.empty() ? ": not this build's list of ops" : ": unknown ops:" + unknown);
}

kernels::Profile profile_of(const std::string& profile) {
  const auto found = kernels::profile_from_name(profile);
  AFTUNE_CHECK(found.has_value());
  return *found;
}

}  // namespace aftune::audit
