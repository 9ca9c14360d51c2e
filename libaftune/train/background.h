#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace aftune::train {

/// One thread that does jobs in order while the caller goes on. One job may wait while another runs: a caller
/// that is further ahead waits, so memory stays bounded.
class Background {
 public:
  using Job = std::function<void()>;

  Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  /// Does what was posted, then stops. An error that nobody asked for is dropped.
  ~Background();

  /// Rethrows the first error of an earlier job; after one, no further job is done.
  void post(Job job);
  /// Returns when every posted job is done. Rethrows likewise.
  void wait();
  /// Seconds that post() waited for the thread. For the thread that posts.
  double waited() const { return waited_; }

 private:
  void work();
  void rethrow();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Job> waiting_;
  bool running_ = false;
  bool stop_ = false;
  std::exception_ptr error_;
  double waited_ = 0;
  std::thread thread_;
};

}  // namespace aftune::train
