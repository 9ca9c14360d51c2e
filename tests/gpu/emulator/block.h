#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

#include "gpu/emulator/emulator.h"
#include "gpu/emulator/fiber_pool.h"

namespace aftune::emulator {

inline constexpr unsigned kWarpSize = 32;
// Of sm_120, which has the least: without asking for more, and in all.
inline constexpr std::size_t kPlainShared = 48 << 10, kMostShared = 99 << 10;
// Room that AddressSanitizer watches between two variables.
inline constexpr std::size_t kSharedUnit = 64;

enum class Meeting { kNone, kBarrier, kShuffle, kProduct };

/// A fiber, or the host's thread while it runs a launch.
struct Fiber {
  boost::context::detail::fcontext_t context = nullptr;
  void* tsan = nullptr;
  void* frames = nullptr;  // AddressSanitizer's
  const void* stack = nullptr;
  std::size_t stack_size = 0;
};

struct Thread : Fiber {
  unsigned id = 0;
  bool ended = false;
  uint3 index{};
  std::uint64_t sent = 0, received = 0;
  unsigned from_lane = 0;
  int* d = nullptr;
  const std::uint32_t *a = nullptr, *b = nullptr;
};

/// Where the threads of a block or a warp wait for each other.
struct Gathering {
  Meeting what = Meeting::kNone;
  Site site{};
  unsigned mask = 0;  // of a warp's lanes
  unsigned arrived = 0;
  unsigned here = 0;  // lanes, as bits
  // For the sanitizer, in turns: who is already at the next barrier must not seem to be ordered before those
  // that are still on their way out of this one.
  char orders[2] = {};
  unsigned turn = 0;

  char* order() { return &orders[turn]; }
  void over() {
    arrived = here = 0;
    turn ^= 1;
  }
};

struct Variable {
  const void* tag;
  std::byte* at;
};

inline std::string text(Site site) {
  return std::string(site.file) + ":" + std::to_string(site.line);
}

/// One block while it runs. Its threads are fibers that hand over to each other where they wait.
class Block {
 public:
  /// Block `number` of all that have run.
  Block(std::byte* shared, FiberPool& fibers, dim3 size, std::size_t dynamic, Entry entry,
        const void* arguments, const Schedule& schedule, std::uint64_t number)
      : memory_(shared),
        fibers_(fibers),
        count_(size.x * size.y * size.z),
        dynamic_(dynamic),
        entry_(entry),
        arguments_(arguments),
        order_(schedule.order),
        random_((schedule.seed + number) * 0x9e3779b97f4a7c15u | 1) {
    shared_used_ = (dynamic + 2 * kSharedUnit - 1) / kSharedUnit * kSharedUnit;
    forbid(memory_, kMostShared);
    allow(memory_, dynamic);
    fill_with_nan(memory_, dynamic);
    // In each block threads have other fibers than before: what one fiber does is ordered for the sanitizer.
    const auto turn = static_cast<unsigned>(number * 37 % kMostThreads);
    for (unsigned i = 0; i < count_; ++i)
      start(threads_[i], i, {i % size.x, i / size.x % size.y, i / size.x / size.y}, (i + turn) % count_);
  }

  /// All threads to their ends. Throws Fault.
  void run();
  /// The one that runs.
  static Block& running() { return *running_block_; }
  /// For the sanitizer: whatever threads did in any block so far is before what the caller does next.
  static void order_after_all_blocks();

  void* shared_variable(const void* tag, std::size_t size) {
    for (unsigned i = 0; i < variable_count_; ++i)
      if (variables_[i].tag == tag) return variables_[i].at;
    const std::size_t at = shared_used_;
    if (at + size > kMostShared || at - dynamic_ + size > kPlainShared + 2 * kSharedUnit ||
        variable_count_ == 16)
      fail_for_shared();
    shared_used_ = at + (size + 2 * kSharedUnit - 1) / kSharedUnit * kSharedUnit;
    allow(memory_ + at, size);
    fill_with_nan(memory_ + at, size);
    variables_[variable_count_++] = {tag, memory_ + at};
    return memory_ + at;
  }
  void* dynamic_shared() const { return memory_; }

  void block_barrier(Site site) {
    arrive(barrier_, Meeting::kBarrier, site, 0);
    char* const order = barrier_.order();
    release(order);
    if (barrier_.arrived == count_) {
      ++totals_.barriers;
      barrier_.over();
      for (unsigned i = 0; i < count_; ++i) make_ready(i);
    }
    give_way();
    acquire(order);
  }

  /// All lanes of `mask` come together; the last one does `act` for all.
  template <class Act>
  void meet(Meeting what, unsigned mask, Site site, const Act& act) {
    const unsigned lane = current_->id % kWarpSize, first = current_->id - lane;
    Gathering& warp = warps_[current_->id / kWarpSize];
    if ((mask >> lane & 1) == 0) {
      set_fault("a lane is not in its own mask at " + text(site));
      give_up();
    }
    arrive(warp, what, site, mask);
    char* const order = warp.order();
    warp.here |= 1u << lane;
    if (what == Meeting::kBarrier) release(order);
    if (warp.here == mask) {
      ++totals_.warp_operations;
      act(threads_ + first);
      warp.over();
      for (unsigned i = 0; i < kWarpSize; ++i)
        if (mask >> i & 1) make_ready(first + i);
    }
    give_way();
    if (what == Meeting::kBarrier) acquire(order);
  }

  Thread& current() { return *current_; }
  const Totals& totals() const { return totals_; }

 private:
  void start(Thread& thread, unsigned id, uint3 index, unsigned fiber);
  static void body(boost::context::detail::transfer_t from);
  void arrive(Gathering& at, Meeting what, Site site, unsigned mask);
  void make_ready(unsigned id);
  unsigned next_ready();
  void give_way() {
    go_to(ready_count_ == 0 ? host_ : threads_[next_ready()], false);
    if (over_ && running_ != &host_) give_up();
  }
  void release_at_end();
  void go_to(Fiber& next, bool ends);
  void note(Fiber& next);
  std::string who_waits() const;
  // The fiber is left as it stands, so that no frame of it may own memory by then.
  void set_fault(const std::string& what);
  [[noreturn]] void give_up() {
    release_at_end();
    current_->ended = true;
    go_to(host_, true);
    __builtin_unreachable();
  }
  [[noreturn]] void fail_for_shared() {
    set_fault("more shared memory than a block may declare");
    give_up();
  }

  static inline Block* running_block_ = nullptr;

  std::byte* memory_;  // shared
  FiberPool& fibers_;
  unsigned count_, finished_ = 0;
  std::size_t dynamic_, shared_used_ = 0;
  Variable variables_[16];
  unsigned variable_count_ = 0;
  Entry entry_;
  const void* arguments_;
  Order order_;
  std::uint64_t random_;
  Thread threads_[kMostThreads];
  Thread* current_ = nullptr;
  Fiber host_;
  Fiber* running_ = &host_;
  unsigned ready_[kMostThreads];
  unsigned ready_first_ = 0, ready_count_ = 0;
  Gathering barrier_, warps_[kMostThreads / kWarpSize];
  std::string fault_;
  bool over_ = false;  // by a fault: who still waits is only to leave
  Totals totals_;
};

/// d += a b for the fragments of a whole warp, as PTX ISA lays them out.
void multiply_fragments(Thread* lanes);

}  // namespace aftune::emulator
