#pragma once

#include <string>
#include <string_view>

namespace aftune::http {

/// Where a server listens.
struct Address {
  std::string host = "127.0.0.1";  ///< a numeric IPv4 or IPv6 address
  int port = 0;                    ///< 0 for any that is free

  /// "PORT", ":PORT", "ADDRESS:PORT" or "[ADDRESS]:PORT", an address in digits or "localhost". Throws
  /// Error{kUsage}.
  static Address parse(std::string_view text);
  bool is_loopback() const;
  /// With IPv6 addresses in brackets.
  std::string to_text() const;
};

/// A socket that listens at `address`, whose port becomes the one in use. Throws Error{kUsage} if it cannot
/// be had.
int listen_at(Address& address);

}  // namespace aftune::http
