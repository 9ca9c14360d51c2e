#include "gpu/emulator/emulator.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "gpu/emulator/block.h"
#include "gpu/emulator/cuda_runtime.h"

namespace aftune::emulator {
namespace {

/// What concerns all launches. A launch is the only one at its time.
struct Machine {
  std::mutex mutex;
  Schedule schedule;
  Totals totals;
  std::map<const void*, std::size_t> allowed_shared;
  FiberPool fibers;
  bool has_code = true, refused = false;
};

Machine& machine() {
  static Machine machine;
  return machine;
}

}  // namespace

void set_schedule(const Schedule& schedule) {
  const std::lock_guard lock(machine().mutex);
  machine().schedule = schedule;
}

Totals totals() {
  const std::lock_guard lock(machine().mutex);
  return machine().totals;
}

bool allow_shared(const void* kernel, std::size_t bytes) {
  const std::lock_guard lock(machine().mutex);
  if (bytes > kMostShared) return false;
  machine().allowed_shared[kernel] = bytes;
  return true;
}

namespace {

void check_launch(dim3 grid, dim3 block, std::size_t shared, const void* kernel) {
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > kMostThreads || block.z > 64)
    throw Fault("a block of " + std::to_string(threads) + " threads");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffff || grid.y > 0xffff || grid.z > 0xffff)
    throw Fault("a grid that no GPU takes");
  const auto asked = machine().allowed_shared.find(kernel);
  if (shared > (asked == machine().allowed_shared.end() ? kPlainShared : asked->second))
    throw Fault("more shared memory than the kernel was allowed");
}

}  // namespace

bool may_launch(dim3 grid, dim3 block, std::size_t shared, const void* kernel) {
  const std::lock_guard lock(machine().mutex);
  check_launch(grid, block, shared, kernel);
  if (!machine().has_code) machine().refused = true;
  return machine().has_code;
}

void run(dim3 grid, dim3 size, std::size_t shared, Entry entry, const void* arguments) {
  Machine& m = machine();
  const std::lock_guard lock(m.mutex);
  gridDim = grid;
  blockDim = size;
  ++m.totals.launches;
  // Under ThreadSanitizer each block has memory of its own, or blocks would seem to race there.
  std::unique_ptr<Mapping> memory;
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        if (memory == nullptr || kTsan) memory = std::make_unique<Mapping>(kMostShared);
        blockIdx = {x, y, z};
        const auto one = std::make_unique<Block>(memory->start(), m.fibers, size, shared, entry, arguments,
                                                 m.schedule, static_cast<std::uint64_t>(m.totals.blocks));
        ++m.totals.blocks;
        one->run();
        m.totals.barriers += one->totals().barriers;
        m.totals.warp_operations += one->totals().warp_operations;
      }
  Block::order_after_all_blocks();
}

void have_code(bool has_it) {
  machine().has_code = has_it;
}
bool launch_was_refused() {
  return std::exchange(machine().refused, false);
}

void* shared_variable(const void* tag, std::size_t size) {
  return Block::running().shared_variable(tag, size);
}
void* dynamic_shared() {
  return Block::running().dynamic_shared();
}
void block_barrier(Site site) {
  Block::running().block_barrier(site);
}
void warp_barrier(unsigned mask, Site site) {
  Block::running().meet(Meeting::kBarrier, mask, site, [](Thread*) {});
}

std::uint64_t shuffle(unsigned mask, std::uint64_t value, unsigned from_lane, Site site) {
  Thread& self = Block::running().current();
  self.sent = value;
  self.from_lane = from_lane;
  Block::running().meet(Meeting::kShuffle, mask, site, [mask](Thread* lanes) {
    for (unsigned i = 0; i < kWarpSize; ++i)
      if (mask >> i & 1) lanes[i].received = lanes[lanes[i].from_lane].sent;
  });
  return self.received;
}

void multiply_bytes_of_warp(int* d, const std::uint32_t* a, const std::uint32_t* b, Site site) {
  Thread& self = Block::running().current();
  self.d = d;
  self.a = a;
  self.b = b;
  Block::running().meet(Meeting::kProduct, 0xffffffffu, site, multiply_fragments);
}

}  // namespace aftune::emulator
