#include "trace/hiding_key.h"

#include "base/error.h"
#include "base/random.h"

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
  random_bytes(std::as_writable_bytes(std::span(secret.bytes)));
  return secret;
}

}  // namespace aftune::trace
