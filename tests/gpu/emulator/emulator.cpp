// This file is not compiled with ThreadSanitizer (AFTUNE_EMULATOR_TSAN says that the rest is): its own notes
// are no business of the threads that it runs. What orders those is told to the sanitizer.

#include "gpu/emulator/emulator.h"

#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>

#include "gpu/emulator/cuda_runtime.h"

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

uint3 threadIdx{}, blockIdx{};
dim3 blockDim, gridDim;

namespace aftune::emulator {
namespace {

namespace context = boost::context::detail;

constexpr unsigned kMostThreads = 1024;
constexpr unsigned kWarpSize = 32;
// Of sm_120, which has the least: without asking for more, and in all.
constexpr std::size_t kPlainShared = 48 << 10, kMostShared = 99 << 10;
constexpr std::size_t kSharedUnit = 64;  // room that AddressSanitizer watches between two variables
constexpr std::size_t kStackBytes = 64 << 10;

// --- The sanitizers, where they are compiled in.

#if defined(AFTUNE_EMULATOR_TSAN)
constexpr bool kTsan = true;
void acquire(void* of) {
  __tsan_acquire(of);
}
void release(void* of) {
  __tsan_release(of);
}
void* current_tsan_fiber() {
  return __tsan_get_current_fiber();
}
void* new_tsan_fiber() {
  return __tsan_create_fiber(0);
}
void end_tsan_fiber(void* fiber) {
  __tsan_destroy_fiber(fiber);
}
void enter_tsan_fiber(void* fiber) {
  constexpr unsigned kWithoutOrder = 1;
  __tsan_switch_to_fiber(fiber, kWithoutOrder);
}
#else
constexpr bool kTsan = false;
void acquire(void*) {}
void release(void*) {}
void* current_tsan_fiber() {
  return nullptr;
}
void* new_tsan_fiber() {
  return nullptr;
}
void end_tsan_fiber(void*) {}
void enter_tsan_fiber(void*) {}
#endif

#if defined(__SANITIZE_ADDRESS__)
void forbid(void* from, std::size_t size) {
  __asan_poison_memory_region(from, size);
}
void allow(void* from, std::size_t size) {
  __asan_unpoison_memory_region(from, size);
}
void leave_stack(void** own_frames, const void* next, std::size_t size) {
  __sanitizer_start_switch_fiber(own_frames, next, size);
}
void enter_stack(void* own_frames, const void** before, std::size_t* size) {
  __sanitizer_finish_switch_fiber(own_frames, before, size);
}
#else
void forbid(void*, std::size_t) {}
void allow(void*, std::size_t) {}
void leave_stack(void**, const void*, std::size_t) {}
void enter_stack(void*, const void**, std::size_t*) {}
#endif

// --- Memory.

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

// --- Threads.

enum class Meeting { kNone, kBarrier, kShuffle, kProduct };

/// A fiber, or the host's thread while it runs a launch.
struct Fiber {
  context::fcontext_t context = nullptr;
  void* tsan = nullptr;
  void* frames = nullptr;  // AddressSanitizer's
  const void* stack = nullptr;
  std::size_t stack_size = 0;
};

struct Thread : Fiber {
  unsigned id = 0;
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

std::string text(Site site) {
  return std::string(site.file) + ":" + std::to_string(site.line);
}

class Block {
 public:
  Block(Mapping& memory, dim3 size, std::size_t dynamic, Entry entry, const void* arguments,
        const Schedule& schedule, std::uint64_t number)
      : memory_(memory.start()),
        count_(size.x * size.y * size.z),
        dynamic_(dynamic),
        entry_(entry),
        arguments_(arguments),
        order_(schedule.order),
        random_((schedule.seed + number) * 0x9e3779b97f4a7c15u | 1) {
    shared_used_ = (dynamic + 2 * kSharedUnit - 1) / kSharedUnit * kSharedUnit;
    allow(memory_, kMostShared + kSharedUnit);
    std::memset(memory_, 0xff, kMostShared);
    forbid(memory_, kMostShared + kSharedUnit);
    allow(memory_, dynamic);
    for (unsigned i = 0; i < count_; ++i)
      start(threads_[i], i, {i % size.x, i / size.x % size.y, i / size.x / size.y});
  }

  /// All threads to their ends.
  void run();

  static std::size_t bytes(unsigned threads) { return kMostShared + kSharedUnit + threads * kStackBytes; }

  void* shared_variable(const void* tag, std::size_t size) {
    for (unsigned i = 0; i < variable_count_; ++i)
      if (variables_[i].tag == tag) return variables_[i].at;
    const std::size_t at = shared_used_;
    if (at + size > kMostShared || at - dynamic_ + size > kPlainShared + 2 * kSharedUnit ||
        variable_count_ == 16)
      fail_for_shared();
    shared_used_ = at + (size + 2 * kSharedUnit - 1) / kSharedUnit * kSharedUnit;
    allow(memory_ + at, size);
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
  void start(Thread& thread, unsigned id, uint3 index);
  static void body(context::transfer_t from);
  void arrive(Gathering& at, Meeting what, Site site, unsigned mask);
  void make_ready(unsigned id);
  unsigned next_ready();
  void give_way() { go_to(ready_count_ == 0 ? host_ : threads_[next_ready()], false); }
  void go_to(Fiber& next, bool ends);
  void note(Fiber& next);
  std::string who_waits() const;
  // The fiber is left as it stands, so that no frame of it may own memory by then.
  void set_fault(const std::string& what);
  [[noreturn]] void give_up() {
    go_to(host_, true);
    __builtin_unreachable();
  }
  [[noreturn]] void fail_for_shared() {
    set_fault("more shared memory than a block may declare");
    give_up();
  }

  std::byte* memory_;
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
  Totals totals_;
};

/// What concerns all launches. A launch is the only one at its time.
struct Machine {
  std::mutex mutex;
  Schedule schedule;
  Totals totals;
  std::map<const void*, std::size_t> allowed_shared;
  Block* block = nullptr;
  char launch_end = 0;  // its address stands for the end of the launch
};

Machine& machine() {
  static Machine machine;
  return machine;
}

void Block::start(Thread& thread, unsigned id, uint3 index) {
  std::byte* const stack = memory_ + kMostShared + kSharedUnit + id * kStackBytes;
  allow(stack, kStackBytes);
  thread.id = id;
  thread.index = index;
  thread.stack = stack;
  thread.stack_size = kStackBytes;
  thread.context = context::make_fcontext(stack + kStackBytes, kStackBytes, &Block::body);
  thread.tsan = new_tsan_fiber();
  make_ready(id);
}

void Block::run() {
  host_.tsan = current_tsan_fiber();
  release(this);
  give_way();
  for (unsigned i = 0; i < count_; ++i) end_tsan_fiber(threads_[i].tsan);
  if (fault_.empty() && finished_ != count_)
    fault_ = "threads wait for others that never come: " + who_waits();
  if (!fault_.empty()) throw Fault(fault_);
}

void Block::body(context::transfer_t from) {
  *static_cast<context::fcontext_t*>(from.data) = from.fctx;
  Block& block = *machine().block;
  Fiber* const host = &block.host_;
  // The first fiber is entered from the host, whose stack only now becomes known.
  const void* before = nullptr;
  std::size_t size = 0;
  enter_stack(nullptr, &before, &size);
  if (host->stack == nullptr) {
    host->stack = before;
    host->stack_size = size;
  }
  acquire(&block);
  block.entry_(block.arguments_);
  release(&machine().launch_end);
  ++block.finished_;
  block.go_to(block.ready_count_ == 0 ? block.host_ : block.threads_[block.next_ready()], true);
}

void Block::note(Fiber& next) {
  running_ = &next;
  if (&next == &host_) return;
  current_ = static_cast<Thread*>(&next);
  threadIdx = current_->index;
}

void Block::go_to(Fiber& next, bool ends) {
  Fiber& self = *running_;
  if (&next == &self) return;
  note(next);
  leave_stack(ends ? nullptr : &self.frames, next.stack, next.stack_size);
  enter_tsan_fiber(next.tsan);
  const context::transfer_t back = context::jump_fcontext(next.context, &self.context);
  *static_cast<context::fcontext_t*>(back.data) = back.fctx;
  enter_stack(self.frames, nullptr, nullptr);
}

void Block::arrive(Gathering& at, Meeting what, Site site, unsigned mask) {
  if (at.arrived == 0) {
    at.what = what;
    at.site = site;
    at.mask = mask;
  } else if (at.what != what || at.mask != mask || at.site.line != site.line ||
             std::strcmp(at.site.file, site.file) != 0) {
    set_fault("threads that must meet are at " + text(at.site) + " and at " + text(site));
    give_up();
  }
  ++at.arrived;
}

void Block::make_ready(unsigned id) {
  ready_[(ready_first_ + ready_count_++) % kMostThreads] = id;
}

unsigned Block::next_ready() {
  unsigned take = 0;  // how many are before it
  if (order_ == Order::kReverse) take = ready_count_ - 1;
  if (order_ == Order::kRandom) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    take = static_cast<unsigned>(random_ % ready_count_);
  }
  unsigned& taken = ready_[(ready_first_ + take) % kMostThreads];
  const unsigned id = taken;
  if (order_ == Order::kReverse) {
    --ready_count_;
    return id;
  }
  taken = ready_[ready_first_];
  ready_first_ = (ready_first_ + 1) % kMostThreads;
  --ready_count_;
  return id;
}

void Block::set_fault(const std::string& what) {
  const uint3 at = current_->index;
  fault_ = what + ", thread (" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " +
           std::to_string(at.z) + ") of block (" + std::to_string(blockIdx.x) + ", " +
           std::to_string(blockIdx.y) + ", " + std::to_string(blockIdx.z) + ")";
}

std::string Block::who_waits() const {
  if (barrier_.arrived != 0)
    return std::to_string(barrier_.arrived) + " of " + std::to_string(count_) + " are at the barrier of " +
           text(barrier_.site);
  for (unsigned warp = 0; warp * kWarpSize < count_; ++warp)
    if (warps_[warp].arrived != 0)
      return std::to_string(warps_[warp].arrived) + " lanes of warp " + std::to_string(warp) + " are at " +
             text(warps_[warp].site);
  return "nobody waits";
}

// d += a b for the fragments of a whole warp, as PTX ISA lays them out.
void multiply_fragments(Thread* lanes) {
  const auto byte = [](const std::uint32_t* words, unsigned i) {
    return static_cast<int>(static_cast<std::int8_t>(words[i / 4] >> (8 * (i % 4))));
  };
  // Row r, column k of a: lane (r mod 8) * 4 + (k mod 16) / 4, of its bytes that of upper or lower rows and
  // of the first or second 16 columns.
  const auto left = [&](unsigned r, unsigned k) {
    return byte(lanes[r % 8 * 4 + k % 16 / 4].a, k / 16 * 8 + r / 8 * 4 + k % 4);
  };
  const auto right = [&](unsigned k, unsigned n) {
    return byte(lanes[n * 4 + k % 16 / 4].b, k / 16 * 4 + k % 4);
  };
  for (unsigned r = 0; r < 16; ++r)
    for (unsigned n = 0; n < 8; ++n) {
      int& d = lanes[r % 8 * 4 + n / 2].d[r / 8 * 2 + n % 2];
      std::int64_t sum = d;
      for (unsigned k = 0; k < 32; ++k) sum += left(r, k) * right(k, n);
      d = static_cast<int>(sum);  // without satfinite the hardware wraps around too
    }
}

Block& block() {
  return *machine().block;
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

void run(dim3 grid, dim3 size, std::size_t shared, const void* kernel, Entry entry, const void* arguments) {
  Machine& m = machine();
  const std::lock_guard lock(m.mutex);
  check_launch(grid, size, shared, kernel);
  gridDim = grid;
  blockDim = size;
  ++m.totals.launches;
  const unsigned threads = size.x * size.y * size.z;
  // Under ThreadSanitizer no block may see the memory of another, or they would seem to race there.
  std::unique_ptr<Mapping> memory;
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        if (memory == nullptr || kTsan) memory = std::make_unique<Mapping>(Block::bytes(threads));
        blockIdx = {x, y, z};
        const auto one = std::make_unique<Block>(*memory, size, shared, entry, arguments, m.schedule,
                                                 static_cast<std::uint64_t>(m.totals.blocks));
        m.block = one.get();
        ++m.totals.blocks;
        one->run();
        m.totals.barriers += one->totals().barriers;
        m.totals.warp_operations += one->totals().warp_operations;
      }
  acquire(&m.launch_end);
}

void* shared_variable(const void* tag, std::size_t size) {
  return block().shared_variable(tag, size);
}
void* dynamic_shared() {
  return block().dynamic_shared();
}
void block_barrier(Site site) {
  block().block_barrier(site);
}
void warp_barrier(unsigned mask, Site site) {
  block().meet(Meeting::kBarrier, mask, site, [](Thread*) {});
}

std::uint64_t shuffle(unsigned mask, std::uint64_t value, unsigned from_lane, Site site) {
  Thread& self = block().current();
  self.sent = value;
  self.from_lane = from_lane;
  block().meet(Meeting::kShuffle, mask, site, [mask](Thread* lanes) {
    for (unsigned i = 0; i < kWarpSize; ++i)
      if (mask >> i & 1) lanes[i].received = lanes[lanes[i].from_lane].sent;
  });
  return self.received;
}

void multiply_bytes_of_warp(int* d, const std::uint32_t* a, const std::uint32_t* b, Site site) {
  Thread& self = block().current();
  self.d = d;
  self.a = a;
  self.b = b;
  block().meet(Meeting::kProduct, 0xffffffffu, site, multiply_fragments);
}

}  // namespace aftune::emulator
