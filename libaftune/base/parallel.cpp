#include "base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <cfenv>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/error.h"

namespace aftune {

void check_float_mode() {
  AFTUNE_CHECK(std::fegetround() == FE_TONEAREST);
#if defined(__x86_64__)
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  AFTUNE_CHECK((_mm_getcsr() & (kFlushToZero | kDenormalsAreZero)) == 0);
#endif
}

int available_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

ThreadPool::ThreadPool(int threads) {
  AFTUNE_CHECK(threads >= 1);
  check_float_mode();
  workers_.reserve(static_cast<std::size_t>(threads - 1));
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& t : workers_) t.join();
}

// Called and left with the lock held; tasks are few and large, so one lock per task costs nothing.
void ThreadPool::take_tasks(std::unique_lock<std::mutex>& lock) {
  ++active_;
  while (next_ < count_) {
    const std::int64_t mine = next_++;
    const TaskRef* task = task_;
    lock.unlock();
    std::exception_ptr error;
    try {
      (*task)(mine);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error) {
      if (!error_) error_ = error;
      next_ = count_;
    }
  }
  --active_;
}

void ThreadPool::work() {
  check_float_mode();
  std::unique_lock lock(mutex_);
  while (true) {
    start_.wait(lock, [this] { return stop_ || next_ < count_; });
    if (stop_) return;
    take_tasks(lock);
    if (active_ == 0) done_.notify_all();
  }
}

void ThreadPool::run(std::int64_t count, TaskRef task) {
  if (count <= 0) return;
  if (workers_.empty() || count == 1) {
    for (std::int64_t i = 0; i < count; ++i) task(i);
    return;
  }
  std::unique_lock lock(mutex_);
  AFTUNE_CHECK(task_ == nullptr);
  task_ = &task;
  next_ = 0;
  count_ = count;
  start_.notify_all();
  take_tasks(lock);
  done_.wait(lock, [this] { return active_ == 0 && next_ >= count_; });
  task_ = nullptr;
  if (std::exception_ptr error = std::exchange(error_, nullptr)) std::rethrow_exception(error);
}

}  // namespace aftune
