#pragma once

// What is told to the sanitizers, where they are compiled in. No file that includes this is compiled with
// ThreadSanitizer (AFTUNE_EMULATOR_TSAN says that the rest is): the emulator's own notes are no business of
// the threads that it runs, and what orders those is told here.

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(AFTUNE_EMULATOR_TSAN)
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

namespace aftune::emulator {

#if defined(AFTUNE_EMULATOR_TSAN)
inline constexpr bool kTsan = true;
inline void acquire(void* of) {
  __tsan_acquire(of);
}
inline void release(void* of) {
  __tsan_release(of);
}
inline void* current_tsan_fiber() {
  return __tsan_get_current_fiber();
}
inline void* new_tsan_fiber() {
  return __tsan_create_fiber(0);
}
inline void end_tsan_fiber(void* fiber) {
  __tsan_destroy_fiber(fiber);
}
inline void enter_tsan_fiber(void* fiber) {
  constexpr unsigned kWithoutOrder = 1;
  __tsan_switch_to_fiber(fiber, kWithoutOrder);
}
#else
inline constexpr bool kTsan = false;
inline void acquire(void*) {}
inline void release(void*) {}
inline void* current_tsan_fiber() {
  return nullptr;
}
inline void* new_tsan_fiber() {
  return nullptr;
}
inline void end_tsan_fiber(void*) {}
inline void enter_tsan_fiber(void*) {}
#endif

#if defined(__SANITIZE_ADDRESS__)
inline void forbid(void* from, std::size_t size) {
  __asan_poison_memory_region(from, size);
}
inline void allow(void* from, std::size_t size) {
  __asan_unpoison_memory_region(from, size);
}
inline void leave_stack(void** own_frames, const void* next, std::size_t size) {
  __sanitizer_start_switch_fiber(own_frames, next, size);
}
inline void enter_stack(void* own_frames, const void** before, std::size_t* size) {
  __sanitizer_finish_switch_fiber(own_frames, before, size);
}
#else
inline void forbid(void*, std::size_t) {}
inline void allow(void*, std::size_t) {}
inline void leave_stack(void**, const void*, std::size_t) {}
inline void enter_stack(void*, const void**, std::size_t*) {}
#endif

}  // namespace aftune::emulator
