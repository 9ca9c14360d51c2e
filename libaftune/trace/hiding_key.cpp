#include "trace/hiding_key.h"

#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace aftune::trace {

record::RunSecret read_hiding_key(const fs::path& path, Links links) {
  const std::string text = read_file(path, 65, links);
  return within(path.native(), [&] {
    if (text.size() != 65 || text.back() != '\n') fail(Fault::kEvidence, "not 64 hex digits and a line feed");
    return digest_from_hex(std::string_view(text).substr(0, 64));
  });
}

void write_hiding_key(const fs::path& path, const record::RunSecret& secret) {
  write_file(path, to_hex(secret) + '\n', 0600);
}

record::RunSecret new_hiding_key() {
  record::RunSecret secret;
  if (::getrandom(&secret, sizeof(secret), 0) != static_cast<ssize_t>(sizeof(secret)))
    fail(Fault::kSystem, "no random numbers: ", std::strerror(errno));
  return secret;
}

}  // namespace aftune::trace
