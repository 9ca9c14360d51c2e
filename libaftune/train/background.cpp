#include "train/background.h"

#include <chrono>
#include <utility>

namespace aftune::train {

Background::Background() : thread_([this] { work(); }) {}

Background::~Background() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Background::post(Job job) {
  std::unique_lock lock(mutex_);
  const auto begin = std::chrono::steady_clock::now();
  changed_.wait(lock, [this] { return !waiting_ || error_; });
  waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  rethrow();
  waiting_ = std::move(job);
  changed_.notify_all();
}

void Background::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return (!waiting_ && !running_) || error_; });
  rethrow();
}

// The error stays: a writer that failed once must not go on as if it had not.
void Background::rethrow() {
  if (error_) std::rethrow_exception(error_);
}

void Background::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || waiting_; });
    if (!waiting_) return;
    Job job = std::move(*waiting_);
    waiting_.reset();
    running_ = true;
    changed_.notify_all();
    lock.unlock();
    std::exception_ptr error;
    try {
      job();
    } catch (...) {
      error = std::current_exception();
    }
    job = nullptr;  // what it owns is freed before the caller may believe that it is done
    lock.lock();
    running_ = false;
    if (error) {
      error_ = error;
      waiting_.reset();
    }
    changed_.notify_all();
    if (error_) return;
  }
}

}  // namespace aftune::train
