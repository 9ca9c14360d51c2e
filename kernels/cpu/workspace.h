#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace aftune::kernels {

/// Memory that is kept, and only ever grows: 64-byte aligned, contents unspecified, in huge pages where there
/// is much of it.
class WorkArea {
 public:
  /// At least `bytes` bytes; what the area held is lost if it has to grow.
  void* at_least(std::int64_t bytes);
  void* get() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> memory_;
  std::int64_t bytes_ = 0;
};

/// What a thread's scratch memory is for; uses that are alive at the same time differ.
enum class Scratch { kLeft, kRight, kPartial, kAttention, kQuantise };
inline constexpr int kScratches = 5;

/// At least `floats` floats of this thread, 64-byte aligned, contents unspecified; valid until the thread's
/// next call for the same use. The memory is kept for the life of the thread, so that products do not return
/// pages to the system only to fault them in again.
float* scratch(Scratch use, std::int64_t floats);

}  // namespace aftune::kernels
