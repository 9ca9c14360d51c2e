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
  int count = 0;
  const char* const* names = kernels::op_names(&count);
  const std::vector<std::string> known(names, names + count);
  if (manifest.profile == "f32" && manifest.ops == known) return "";
  std::string unknown;
  for (const std::string& op : manifest.ops)
    if (!std::binary_search(known.begin(), known.end(), op)) unknown += " " + op;
  return cat("profile ", manifest.profile,
             unknown.empty() ? ": not this build's list of ops" : ": unknown ops:" + unknown);
}

}  // namespace aftune::audit
