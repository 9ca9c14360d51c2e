#include "http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/error.h"
#include "base/printable.h"

namespace aftune::http {
namespace {

constexpr int kBacklog = 256;

int port_of(std::string_view text) {
  int port = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port < 0 || port > 65535)
    fail(Fault::kUsage, "\"", printable(text), "\" is no port, 0 to 65535");
  return port;
}

/// The address as the kernel takes it.
struct Raw {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

bool convert(const Address& address, Raw& raw) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&raw.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&raw.storage);
  if (::inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(address.port));
    raw.size = sizeof(*v4);
    return true;
  }
  raw = {};
  if (::inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr) != 1) return false;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(static_cast<std::uint16_t>(address.port));
  raw.size = sizeof(*v6);
  return true;
}

int port_in_use(int fd) {
  Raw raw;
  raw.size = sizeof(raw.storage);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&raw.storage), &raw.size) != 0)
    fail(Fault::kSystem, "getsockname: ", std::strerror(errno));
  // The port lies at the same place in both.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&raw.storage)->sin_port);
}

}  // namespace

Address Address::parse(std::string_view text) {
  Address address;
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) {
    address.port = port_of(text);
    return address;
  }
  address.port = port_of(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!host.empty() && host != "localhost") address.host = host;
  Raw raw;
  if (!convert(address, raw) || bracketed != (raw.storage.ss_family == AF_INET6))
    fail(Fault::kUsage, "\"", printable(host), "\" is no address in digits; IPv6 ones stand in brackets");
  return address;
}

bool Address::is_loopback() const {
  return host.starts_with("127.") || host == "::1";
}

std::string Address::to_text() const {
  return host.find(':') == host.npos ? cat(host, ':', port) : cat('[', host, "]:", port);
}

ListeningSocket::ListeningSocket(const Address& address) : address_(address) {
  Raw raw;
  AFTUNE_CHECK(convert(address, raw));
  fd_ = ::socket(raw.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  // A server that ends leaves connections that the next one must not wait for.
  const int on = 1;
  if (fd_ >= 0 && ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
      ::bind(fd_, reinterpret_cast<const sockaddr*>(&raw.storage), raw.size) == 0 &&
      ::listen(fd_, kBacklog) == 0) {
    address_.port = port_in_use(fd_);
    return;
  }
  const std::string why = std::strerror(errno);
  if (fd_ >= 0) ::close(fd_);
  fail(Fault::kUsage, address.to_text(), ": cannot listen there: ", why);
}

ListeningSocket::~ListeningSocket() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace aftune::http
