#pragma once

#include <httplib.h>

#include <chrono>
#include <cstddef>
#include <string>

namespace aftune::http {

/// A connection's bytes as the HTTP library reads and writes them, with the bounds that it does not have: a
/// request must have come whole in a given time, however its bytes drip, and what is written must be taken
/// in as much. Owns the socket. Used by one thread.
class SocketStream : public httplib::Stream {
 public:
  using Clock = std::chrono::steady_clock;

  SocketStream(int fd, std::chrono::seconds patience);
  SocketStream(const SocketStream&) = delete;
  SocketStream& operator=(const SocketStream&) = delete;
  ~SocketStream() override;

  /// Waits a little for the first byte of a request; false if there is none yet.
  bool wait(std::chrono::milliseconds time);
  enum class Head { kWhole, kClosed, kLate, kLarge };
  /// Reads a request's head; what is read is kept for read(). Its time runs from here.
  Head read_head();
  /// The time of the request that is being read is over.
  bool late() const { return late_; }
  /// False once the client has closed its side, which says that it waits for nothing any more.
  bool peer_is_there() const;
  /// Reads what still comes, for a moment and up to a bound: a socket that is closed on unread bytes takes
  /// back what it has sent.
  void linger();

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, std::size_t size) override;
  /// All of it, or -1.
  ssize_t write(const char* from, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return fd_; }

 private:
  bool poll_until(short events, Clock::time_point end) const;
  /// Bytes that came, 0 at the end, -1 for an error or when the time is over.
  ssize_t receive(char* to, std::size_t size);

  const int fd_;
  const std::chrono::seconds patience_;
  Clock::time_point deadline_;
  bool late_ = false;
  std::string buffer_;    // what was received
  std::size_t used_ = 0;  // and of that, given by read()
};

}  // namespace aftune::http
