#pragma once

#include <string>
#include <string_view>
#include <utility>

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

/// A socket that listens: clients may connect, and wait until somebody accepts them.
class ListeningSocket {
 public:
  /// Throws Error{kUsage} if it cannot listen there.
  explicit ListeningSocket(const Address& address);
  ListeningSocket(ListeningSocket&& other) noexcept
      : address_(other.address_), fd_(std::exchange(other.fd_, -1)) {}
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ~ListeningSocket();

  /// With the port in use.
  const Address& address() const { return address_; }
  int fd() const { return fd_; }

 private:
  Address address_;
  int fd_ = -1;
};

}  // namespace aftune::http
