#include "kernels/cpu/workspace.h"

#include <sys/mman.h>

#include <cstdlib>
#include <memory>
#include <new>

namespace aftune::kernels {
namespace {

struct Free {
  void operator()(float* p) const { std::free(p); }
};

struct Area {
  std::unique_ptr<float, Free> memory;
  std::int64_t floats = 0;
};

constexpr std::size_t kHugePage = std::size_t{2} << 20;

float* allocate(std::int64_t floats) {
  const std::size_t bytes = static_cast<std::size_t>(floats) * sizeof(float);
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  // A refusal costs speed only.
  if (alignment == kHugePage) static_cast<void>(::madvise(memory, rounded, MADV_HUGEPAGE));
  return static_cast<float*>(memory);
}

}  // namespace

float* scratch(Scratch use, std::int64_t floats) {
  thread_local Area areas[kScratches];
  Area& area = areas[static_cast<int>(use)];
  if (area.floats < floats) {
    area.memory.reset();
    area.floats = 0;
    area.memory.reset(allocate(floats));
    area.floats = floats;
  }
  return area.memory.get();
}

}  // namespace aftune::kernels
