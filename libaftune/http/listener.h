#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "http/address.h"
#include "http/connection.h"

namespace aftune::http {

/// Takes connections, and speaks with each on a thread of its own. While there are as many as threads the
/// next wait in the kernel, and for them those must go that have their answers.
class Listener {
 public:
  /// Keeps a reference to the answerer.
  Listener(ListeningSocket socket, Answerer& answerer, const ConnectionOptions& options, int connections);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  /// Waits until all connections are closed.
  ~Listener();

  const Address& address() const { return socket_.address(); }
  /// Takes no more connections, and lets those there are go once they have their answers. Does not wait.
  void stop();
  int connections() const;

 private:
  void accept_all();
  void take(int fd);
  void work();
  // It is time, or others wait for the place.
  bool must_leave() const;

  const ListeningSocket socket_;
  Answerer& answerer_;
  const ConnectionOptions options_;
  const int most_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<int> taken_;  // connections that no thread has yet
  int open_ = 0;           // connections, those included
  std::atomic<bool> stop_ = false;
  std::thread acceptor_;
  std::vector<std::thread> threads_;
};

}  // namespace aftune::http
