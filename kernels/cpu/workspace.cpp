#include "kernels/cpu/workspace.h"

#include <sys/mman.h>

#include <new>

namespace aftune::kernels {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

void* allocate(std::size_t bytes) {
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  // A refusal costs speed only.
  if (alignment == kHugePage) static_cast<void>(::madvise(memory, rounded, MADV_HUGEPAGE));
  return memory;
}

}  // namespace

void* WorkArea::at_least(std::int64_t bytes) {
  if (bytes_ < bytes) {
    memory_.reset();
    bytes_ = 0;
    memory_.reset(allocate(static_cast<std::size_t>(bytes)));
    bytes_ = bytes;
  }
  return memory_.get();
}

float* scratch(Scratch use, std::int64_t floats) {
  thread_local WorkArea areas[kScratches];
  return static_cast<float*>(
      areas[static_cast<int>(use)].at_least(floats * static_cast<std::int64_t>(sizeof(float))));
}

}  // namespace aftune::kernels
