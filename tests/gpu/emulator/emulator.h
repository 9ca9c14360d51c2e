#pragma once

// Runs CUDA kernels that were compiled as plain C++, without a GPU. Each thread of a block is a fiber; a
// block runs to its end before the next one starts. What CUDA leaves open is made to show: in which order
// threads come is up to a schedule, shared memory starts as NaN, threads that meet at a barrier or in an
// operation of their warp must all be there and at the same place of the source. AddressSanitizer sees the
// bounds of shared memory, ThreadSanitizer the accesses that no barrier orders (a shuffle orders none),
// within a block and between blocks.
//
// Not emulated: that threads of a warp run in step, memory visibility below a barrier, the limits of
// registers. What is queued happens at once, in the order of the calls, or is put off until it is waited for.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>

#include "gpu/emulator/vector_types.h"

struct CUstream_st;

namespace aftune::emulator {

enum class Order { kForward, kReverse, kRandom };
struct Schedule {
  Order order = Order::kForward;
  std::uint64_t seed = 0;  ///< of kRandom
};
/// For all launches from now on.
void set_schedule(const Schedule& schedule);

/// A kernel did what CUDA does not define. The launch throws it; what the kernel wrote before stays.
class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A place of the source. Two are the same place if file and line are.
struct Site {
  const char* file;
  int line;
};

/// What has been run so far, by which a test may see that something was.
struct Totals {
  std::int64_t launches = 0, blocks = 0, barriers = 0, warp_operations = 0;
};
Totals totals();

// --- What the kernels' side calls; see cuda_runtime.h.

using Entry = void (*)(const void* arguments);
/// Whether there is code of it; throws Fault for a launch that no GPU takes. `kernel` is who may have asked
/// for more shared memory.
bool may_launch(dim3 grid, dim3 block, std::size_t shared, const void* kernel);
/// Does it, or puts it off.
void queue(CUstream_st* stream, std::function<void()> work);
/// entry(arguments) in every thread of the grid.
void run(dim3 grid, dim3 block, std::size_t shared, Entry entry, const void* arguments);
/// cudaFuncSetAttribute of the most dynamic shared memory.
bool allow_shared(const void* kernel, std::size_t bytes);

/// The block's variable that `tag` names, the same in each of its threads.
void* shared_variable(const void* tag, std::size_t size);
void* dynamic_shared();
void block_barrier(Site site);
void warp_barrier(unsigned mask, Site site);
std::uint64_t shuffle(unsigned mask, std::uint64_t value, unsigned from_lane, Site site);
void multiply_bytes_of_warp(int* d, const std::uint32_t* a, const std::uint32_t* b, Site site);

}  // namespace aftune::emulator
