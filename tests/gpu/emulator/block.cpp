#include "gpu/emulator/block.h"

#include <cstring>

#include "gpu/emulator/cuda_runtime.h"

uint3 threadIdx{}, blockIdx{};
dim3 blockDim, gridDim;

namespace aftune::emulator {
namespace {

namespace context = boost::context::detail;

char end_of_blocks = 0;  // its address stands for it

}  // namespace

void Block::start(Thread& thread, unsigned id, uint3 index, unsigned fiber) {
  std::byte* const stack = fibers_.stack(fiber);
  // Of the fiber's first frames, which are never left.
  constexpr std::size_t kFirstFrames = 1024;
  allow(stack + kStackBytes - kFirstFrames, kFirstFrames);
  thread.id = id;
  thread.index = index;
  thread.stack = stack;
  thread.stack_size = kStackBytes;
  thread.context = context::make_fcontext(stack + kStackBytes, kStackBytes, &Block::body);
  thread.tsan = fibers_.tsan(fiber);
  make_ready(id);
}

void Block::run() {
  host_.tsan = current_tsan_fiber();
  running_block_ = this;
  release(this);
  give_way();
  acquire(&fault_);
  if (fault_.empty() && finished_ != count_)
    fault_ = "threads wait for others that never come: " + who_waits();
  if (fault_.empty()) return;
  over_ = true;
  for (unsigned i = 0; i < count_; ++i)
    if (!threads_[i].ended) go_to(threads_[i], false);
  order_after_all_blocks();
  fibers_.start_anew();
  throw Fault(fault_);
}

void Block::order_after_all_blocks() {
  acquire(&end_of_blocks);
}

void Block::release_at_end() {
  release(&end_of_blocks);
}

void Block::body(context::transfer_t from) {
  *static_cast<context::fcontext_t*>(from.data) = from.fctx;
  Block& block = running();
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
  if (block.over_) block.give_up();
  block.entry_(block.arguments_);
  block.release_at_end();
  block.current_->ended = true;
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
  release(&fault_);
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

}  // namespace aftune::emulator
