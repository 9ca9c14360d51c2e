#include "gpu/emulator/streams.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <string_view>

#include "gpu/emulator/cuda_runtime.h"
#include "gpu/emulator/emulator.h"

namespace aftune::emulator {
namespace {

using Blocks = std::map<const std::byte*, std::size_t>;

bool is_within(const Blocks& blocks, const void* at) {
  const auto* const byte = static_cast<const std::byte*>(at);
  const auto after = blocks.upper_bound(byte);
  return after != blocks.begin() && byte < std::prev(after)->first + std::prev(after)->second;
}

struct Streams {
  std::recursive_mutex mutex;  // what runs may queue
  bool off = std::getenv("AFTUNE_EMULATED_PUT_OFF") != nullptr;
  std::set<CUstream_st*> all;
  Blocks shared, pinned;
  bool is_locked = false;        // the shared blocks
  CUstream_st* first = nullptr;  // of those there are: what the processor's writes have to mind
  int running = 0;               // who finishes one may have to finish another
};

Streams& streams() {
  static Streams own;
  return own;
}

std::size_t pages(std::size_t size) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

void* address(const std::byte* at) {
  return const_cast<std::byte*>(at);
}

// AddressSanitizer does not know that memory: there it is the ends of blocks that matter.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kLocks = false;
#else
constexpr bool kLocks = true;
#endif

void lock_shared(bool lock) {
  if (!kLocks || streams().is_locked == lock) return;
  streams().is_locked = lock;
  for (const auto& [block, size] : streams().shared)
    if (::mprotect(address(block), pages(size), lock ? PROT_READ : PROT_READ | PROT_WRITE) != 0) std::abort();
}

void lock_if_work_waits() {
  lock_shared(streams().running == 0 && streams().first != nullptr && !streams().first->work.empty());
}

void say_what_was_written(int, siginfo_t*, void*) {
  constexpr std::string_view kWhat =
      "emulated device: memory that it shares was written while it had work queued, or is not there\n";
  if (::write(STDERR_FILENO, kWhat.data(), kWhat.size()) < 0) ::_exit(1);
  ::signal(SIGSEGV, SIG_DFL);  // and on return it happens again
}

}  // namespace

void put_off(bool on) {
  const std::lock_guard lock(streams().mutex);
  finish_all();
  streams().off = on;
  if (!kLocks) return;
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = say_what_was_written;
  if (!on) action.sa_handler = SIG_DFL, action.sa_flags = 0;
  ::sigaction(SIGSEGV, &action, nullptr);
}

bool puts_off(const CUstream_st* stream) {
  const std::lock_guard lock(streams().mutex);
  return stream != nullptr && streams().off;
}

void queue(CUstream_st* stream, std::function<void()> work) {
  const std::lock_guard lock(streams().mutex);
  if (!puts_off(stream)) return work();
  stream->work.push_back(std::move(work));
  ++stream->queued;
  lock_if_work_waits();
}

CUstream_st* new_stream() {
  const std::lock_guard lock(streams().mutex);
  auto* const stream = new CUstream_st{{}, 0, queue};
  if (streams().all.empty()) streams().first = stream;
  streams().all.insert(stream);
  return stream;
}

void delete_stream(CUstream_st* stream) {
  const std::lock_guard lock(streams().mutex);
  streams().all.erase(stream);
  if (streams().first == stream) streams().first = nullptr;
  delete stream;
  lock_if_work_waits();
}

void finish(CUstream_st* stream) {
  const std::lock_guard lock(streams().mutex);
  if (stream != nullptr) finish(stream, stream->queued);
}

std::uint64_t place_in(const CUstream_st* stream) {
  const std::lock_guard lock(streams().mutex);
  return stream == nullptr ? 0 : stream->queued;
}

void finish(CUstream_st* stream, std::uint64_t place) {
  const std::lock_guard lock(streams().mutex);
  if (streams().all.count(stream) == 0) return;  // it is gone, and did all before
  ++streams().running;
  lock_shared(false);
  while (!stream->work.empty() && stream->queued - stream->work.size() < place) {
    const std::function<void()> next = std::move(stream->work.front());
    stream->work.pop_front();
    next();
  }
  --streams().running;
  lock_if_work_waits();
}

void finish_all() {
  const std::lock_guard lock(streams().mutex);
  for (CUstream_st* stream : streams().all) finish(stream);
}

void drop_all() {
  const std::lock_guard lock(streams().mutex);
  for (CUstream_st* stream : streams().all) stream->work.clear();
  lock_shared(false);
}

void* new_shared(std::size_t size) {
  const std::lock_guard lock(streams().mutex);
  if (!kLocks || !streams().off) return nullptr;
  void* const block =
      ::mmap(nullptr, pages(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return nullptr;
  std::memset(block, 0xff, size);  // NaN
  streams().shared[static_cast<const std::byte*>(block)] = size;
  return block;
}

bool delete_shared(void* block) {
  const std::lock_guard lock(streams().mutex);
  const auto found = streams().shared.find(static_cast<const std::byte*>(block));
  if (found == streams().shared.end()) return false;
  ::munmap(block, pages(found->second));
  streams().shared.erase(found);
  return true;
}

bool is_shared(const void* at) {
  const std::lock_guard lock(streams().mutex);
  return is_within(streams().shared, at);
}

void note_pinned(const void* block, std::size_t size) {
  const std::lock_guard lock(streams().mutex);
  streams().pinned[static_cast<const std::byte*>(block)] = size;
}
void forget_pinned(const void* block) {
  const std::lock_guard lock(streams().mutex);
  streams().pinned.erase(static_cast<const std::byte*>(block));
}
bool is_pinned(const void* at) {
  const std::lock_guard lock(streams().mutex);
  return is_within(streams().pinned, at);
}

}  // namespace aftune::emulator
