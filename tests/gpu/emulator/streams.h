#pragma once

// The emulated device's queues, and the memory that it shares with the host. Of the emulator's own files,
// and of the library that stands in for cuBLAS.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>

struct CUstream_st {
  std::deque<std::function<void()>> work;  ///< put off
  std::uint64_t queued = 0;                ///< so far
  /// As emulator::queue: a library that was opened at run time finds nothing of the program by name.
  void (*queue)(CUstream_st* stream, std::function<void()> work);
};

namespace aftune::emulator {

CUstream_st* new_stream();
/// Drops what it has put off.
void delete_stream(CUstream_st* stream);
/// Does what it has put off.
void finish(CUstream_st* stream);
/// How much has been queued there, and what of it is done up to such a place.
std::uint64_t place_in(const CUstream_st* stream);
void finish(CUstream_st* stream, std::uint64_t place);
void finish_all();
/// Forgets what any has put off.
void drop_all();

/// Whether what is queued there waits to be waited for.
bool puts_off(const CUstream_st* stream);

void* new_shared(std::size_t size);  ///< null if there is no memory
bool delete_shared(void* block);     ///< false: it is none
bool is_shared(const void* at);
void note_pinned(const void* block, std::size_t size);
void forget_pinned(const void* block);
bool is_pinned(const void* at);

}  // namespace aftune::emulator
