#include "http/listener.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace aftune::http {
Listener::Listener(ListeningSocket socket, Answerer& answerer, const ConnectionOptions& options,
                   int connections)
    : socket_(std::move(socket)), answerer_(answerer), options_(options), most_(connections) {
  for (int i = 0; i < most_; ++i) threads_.emplace_back([this] { work(); });
  acceptor_ = std::thread([this] { accept_all(); });
}

Listener::~Listener() {
  stop();
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
}

void Listener::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
}

int Listener::connections() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

bool Listener::must_leave() const {
  if (stop_) return true;
  if (connections() < most_) return false;
  pollfd one{.fd = socket_.fd(), .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, 0) > 0;
}

void Listener::accept_all() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || open_ < most_; });
    }
    if (stop_) return;
    pollfd one{.fd = socket_.fd(), .events = POLLIN, .revents = 0};
    if (::poll(&one, 1, static_cast<int>(kTick.count())) <= 0) continue;
    const int fd = ::accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0)
      take(fd);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
      std::this_thread::sleep_for(kTick);  // until others have closed theirs
  }
}

void Listener::take(int fd) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_) {  // perhaps no thread is left
      ::close(fd);
      return;
    }
    ++open_;
    taken_.push_back(fd);
  }
  wake_.notify_all();
}

void Listener::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stop_ || !taken_.empty(); });
    if (taken_.empty()) return;
    const int fd = taken_.front();
    taken_.pop_front();
    lock.unlock();
    converse(fd, answerer_, options_, [this] { return must_leave(); });
    lock.lock();
    --open_;
    wake_.notify_all();
  }
}

}  // namespace aftune::http
