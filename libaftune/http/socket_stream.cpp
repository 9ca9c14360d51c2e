#include "http/socket_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace aftune::http {
namespace {

constexpr std::size_t kMaxHead = std::size_t{32} << 10;
constexpr std::size_t kPiece = std::size_t{16} << 10;
constexpr std::size_t kMaxLinger = std::size_t{16} << 20;
constexpr std::chrono::milliseconds kLinger{500};

}  // namespace

SocketStream::SocketStream(int fd, std::chrono::seconds patience) : fd_(fd), patience_(patience) {
  // Tokens are written one by one, and each is to leave at once.
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

SocketStream::~SocketStream() {
  ::close(fd_);
}

bool SocketStream::poll_until(short events, Clock::time_point end) const {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd one{.fd = fd_, .events = events, .revents = 0};
    const int ready = ::poll(&one, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (Clock::now() >= end) return false;
  }
}

bool SocketStream::wait(std::chrono::milliseconds time) {
  return used_ < buffer_.size() || poll_until(POLLIN, Clock::now() + time);
}

ssize_t SocketStream::receive(char* to, std::size_t size) {
  for (;;) {
    const ssize_t got = ::recv(fd_, to, size, MSG_DONTWAIT);
    if (got >= 0) return got;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return -1;
    if (!poll_until(POLLIN, deadline_)) {
      late_ = true;
      return -1;
    }
    if (Clock::now() >= deadline_) late_ = true;
    if (late_) return -1;
  }
}

SocketStream::Head SocketStream::read_head() {
  deadline_ = Clock::now() + patience_;
  late_ = false;
  buffer_.erase(0, used_);
  used_ = 0;
  std::size_t searched = 0;
  while (buffer_.find("\r\n\r\n", searched) == std::string::npos) {
    if (buffer_.size() >= kMaxHead) return Head::kLarge;
    searched = buffer_.size() - std::min<std::size_t>(buffer_.size(), 3);
    char piece[kPiece];
    const ssize_t got = receive(piece, std::min(sizeof(piece), kMaxHead - buffer_.size()));
    if (got <= 0) return late_ ? Head::kLate : Head::kClosed;
    buffer_.append(piece, static_cast<std::size_t>(got));
  }
  return Head::kWhole;
}

ssize_t SocketStream::read(char* to, std::size_t size) {
  if (used_ == buffer_.size()) return receive(to, size);
  const std::size_t taken = std::min(size, buffer_.size() - used_);
  std::memcpy(to, buffer_.data() + used_, taken);
  used_ += taken;
  return static_cast<ssize_t>(taken);
}

ssize_t SocketStream::write(const char* from, std::size_t size) {
  const Clock::time_point end = Clock::now() + patience_;
  for (std::size_t sent = 0; sent < size;) {
    const ssize_t now = ::send(fd_, from + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (now >= 0) {
      sent += static_cast<std::size_t>(now);
      continue;
    }
    if (errno == EINTR) continue;
    if ((errno != EAGAIN && errno != EWOULDBLOCK) || !poll_until(POLLOUT, end)) return -1;
    if (Clock::now() >= end) return -1;
  }
  return static_cast<ssize_t>(size);
}

bool SocketStream::peer_is_there() const {
  pollfd one{.fd = fd_, .events = POLLRDHUP, .revents = 0};
  return ::poll(&one, 1, 0) <= 0 || (one.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0;
}

void SocketStream::linger() {
  ::shutdown(fd_, SHUT_WR);
  deadline_ = Clock::now() + kLinger;
  char piece[kPiece];
  for (std::size_t total = 0; total < kMaxLinger;) {
    const ssize_t got = receive(piece, sizeof(piece));
    if (got <= 0) return;
    total += static_cast<std::size_t>(got);
  }
}

// Nobody asks: what a client is known by is its token.
void SocketStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

void SocketStream::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace aftune::http
