#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace aftune {

/// A callable that is not owned and not allocated for: alive only during the call it is passed to.
class TaskRef {
 public:
  template <class F>
  TaskRef(const F& f)  // NOLINT: implicit by design, so that a lambda can be passed
      requires(!std::is_same_v<F, TaskRef>)
      : object_(&f), call_([](const void* o, std::int64_t i) { (*static_cast<const F*>(o))(i); }) {}
  void operator()(std::int64_t i) const { call_(object_, i); }

 private:
  const void* object_;
  void (*call_)(const void*, std::int64_t);
};

class Accelerator;

/// A fixed set of threads that share indexed tasks, or that leave the arithmetic to a device. Which thread
/// runs a task, and whether a device does, never decides a bit.
/// OpenMP is not used because its runtime is opaque to ThreadSanitizer, which our tests rely on.
class ThreadPool {
 public:
  /// `threads` >= 1 counts the caller, which works too. Every thread checks its floating-point mode at start.
  /// The accelerator, if any, must live as long.
  explicit ThreadPool(int threads, Accelerator* accelerator = nullptr);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  int threads() const { return static_cast<int>(workers_.size()) + 1; }
  /// What computes in place of the threads where it can (kernels::device_of); null if nothing does.
  Accelerator* accelerator() const { return accelerator_; }
  /// Returns when the accelerator, if any, has done what it was given: before the processor reads or writes
  /// tensors.
  void wait_for_accelerator() const;
  /// Runs task(0) ... task(count - 1), each once, in any order; returns when all are done. The first
  /// exception is rethrown here. Must not be called from inside a task, nor from two threads at once.
  void run(std::int64_t count, TaskRef task);

 private:
  void work();
  void take_tasks(std::unique_lock<std::mutex>& lock);

  Accelerator* const accelerator_;
  std::mutex mutex_;
  std::condition_variable start_;
  std::condition_variable done_;
  const TaskRef* task_ = nullptr;
  std::int64_t next_ = 0;
  std::int64_t count_ = 0;
  std::atomic<int> active_ = 0;          // changed under the lock, as the next; looked at without it
  std::atomic<std::uint64_t> runs_ = 0;  // so far
  bool stop_ = false;
  std::exception_ptr error_;
  std::vector<std::thread> workers_;
};

/// While it lives, the pool's accelerator, if any, queues its calls (Accelerator::queue_calls).
class QueuedCalls {
 public:
  explicit QueuedCalls(const ThreadPool& pool);
  QueuedCalls(const QueuedCalls&) = delete;
  QueuedCalls& operator=(const QueuedCalls&) = delete;
  /// Waits as finish() does, but cannot say what went wrong.
  ~QueuedCalls();
  /// Waits for all of them, and ends that.
  void finish();

 private:
  Accelerator* accelerator_;
};

/// Aborts unless this thread rounds to nearest even and neither flushes nor ignores subnormals.
void check_float_mode();

/// The number of processors this process may use.
int available_threads();

}  // namespace aftune
