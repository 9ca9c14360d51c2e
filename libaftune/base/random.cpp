#include "base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "base/error.h"

namespace aftune {

void random_bytes(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail(Fault::kSystem, "no random numbers: ", std::strerror(errno));
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

std::string random_hex(std::size_t bytes) {
  Bytes drawn(bytes);
  random_bytes(drawn);
  return to_hex(drawn);
}

}  // namespace aftune
