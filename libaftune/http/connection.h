#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>

#include "http/call.h"

namespace aftune::http {

/// How often who waits looks whether it is time to leave.
inline constexpr std::chrono::milliseconds kTick{100};

struct ConnectionOptions {
  std::chrono::seconds patience{30};  ///< for a request to come, and for what is written to be taken
  std::chrono::seconds idle{15};      ///< between requests
  std::size_t most_body = std::size_t{4} << 20;
};

/// Speaks HTTP/1.1 with one client until it has gone, was idle for too long, or has sent something after
/// which no next request can be told. Closes the socket. `leave` says that the client must go once it has
/// the answer that it waits for.
void converse(int fd, Answerer& answerer, const ConnectionOptions& options,
              const std::function<bool()>& leave);

}  // namespace aftune::http
