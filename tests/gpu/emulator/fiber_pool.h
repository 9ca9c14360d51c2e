#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <new>

#include "gpu/emulator/sanitizers.h"

namespace aftune::emulator {

inline constexpr unsigned kMostThreads = 1024;
inline constexpr std::size_t kStackBytes = 64 << 10;

class Mapping {
 public:
  explicit Mapping(std::size_t size) : size_(size) {
    void* const got = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) throw std::bad_alloc();
    start_ = static_cast<std::byte*>(got);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    allow(start_, size_);
    munmap(start_, size_);
  }
  std::byte* start() const { return start_; }

 private:
  std::size_t size_;
  std::byte* start_;
};

// NaN, whatever type it is read as. Not by memset, which ThreadSanitizer would take for a thread's.
inline void fill_with_nan(std::byte* from, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) const_cast<volatile std::byte*>(from)[i] = std::byte{0xff};
}

/// What fibers need that outlives a block: stacks, and what ThreadSanitizer knows of who runs on them.
class FiberPool {
 public:
  std::byte* stack(unsigned i) const { return stacks_->start() + i * kStackBytes; }

  void* tsan(unsigned i) {
    if (tsan_[i] == nullptr) tsan_[i] = new_tsan_fiber();
    return tsan_[i];
  }

  /// After a fault, which leaves fibers in the middle of something.
  void start_anew() {
    stacks_ = std::make_unique<Mapping>(kMostThreads * kStackBytes);
    for (void*& fiber : tsan_) {
      if (fiber != nullptr) end_tsan_fiber(fiber);
      fiber = nullptr;
    }
  }

 private:
  std::unique_ptr<Mapping> stacks_ = std::make_unique<Mapping>(kMostThreads * kStackBytes);
  void* tsan_[kMostThreads] = {};
};

}  // namespace aftune::emulator
