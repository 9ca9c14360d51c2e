#include "base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <cfenv>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/accelerator.h"
#include "base/error.h"

namespace aftune {
namespace {

// How often a thread looks for what it waits for before it goes to sleep: about as long as waking it takes.
// Decoding a token is a hundred tasks in a row that take a fraction of a millisecond each.
constexpr int kLooks = 400;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <class Condition>
void look_for(const Condition& condition) {
  for (int i = 0; i < kLooks && !condition(); ++i) relax();
}

}  // namespace

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

ThreadPool::ThreadPool(int threads, Accelerator* accelerator) : accelerator_(accelerator) {
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

void ThreadPool::wait_for_accelerator() const {
  if (accelerator_ != nullptr) accelerator_->wait();
}

QueuedCalls::QueuedCalls(const ThreadPool& pool) : accelerator_(pool.accelerator()) {
  if (accelerator_ != nullptr) accelerator_->queue_calls(true);
}

QueuedCalls::~QueuedCalls() {
  try {
    finish();
  } catch (const std::exception&) {
    // Another error is on its way, of which this is the cause or a consequence.
  }
}

void QueuedCalls::finish() {
  if (Accelerator* const queues = std::exchange(accelerator_, nullptr)) queues->queue_calls(false);
}

// Called and left with the lock held; tasks are few and large, so one lock per task costs nothing.
void ThreadPool::take_tasks(std::unique_lock<std::mutex>& lock) {
  active_ = active_ + 1;
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
  active_ = active_ - 1;
}

void ThreadPool::work() {
  check_float_mode();
  std::unique_lock lock(mutex_);
  for (std::uint64_t seen = 0;;) {
    if (!stop_ && next_ >= count_) {
      lock.unlock();
      look_for([&] { return runs_.load(std::memory_order_relaxed) != seen; });
      lock.lock();
    }
    start_.wait(lock, [this] { return stop_ || next_ < count_; });
    if (stop_) return;
    seen = runs_;
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
  runs_ = runs_ + 1;
  start_.notify_all();
  take_tasks(lock);
  if (active_ != 0) {
    lock.unlock();
    look_for([this] { return active_.load(std::memory_order_relaxed) == 0; });
    lock.lock();
  }
  done_.wait(lock, [this] { return active_ == 0 && next_ >= count_; });
  task_ = nullptr;
  if (std::exception_ptr error = std::exchange(error_, nullptr)) std::rethrow_exception(error);
}

}  // namespace aftune
