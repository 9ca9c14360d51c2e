#include "tensor/block_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace aftune::tensor {

std::size_t BlockCache::class_size(std::size_t bytes) {
  AFTUNE_CHECK(bytes >= kLeast);
  // 2^k has classes every 2^(k-3); from kLeast on these are whole pages.
  const int unit = static_cast<int>(std::bit_width(bytes)) - 4;  // log2
  return ((bytes + (std::size_t{1} << unit) - 1) >> unit) << unit;
}

void* BlockCache::take(std::size_t bytes) {
  const std::size_t size = class_size(bytes);
  {
    const std::lock_guard lock(mutex_);
    forget_if_forked();
    live_bytes_ += size;
    peak_bytes_ = std::max(peak_bytes_, live_bytes_);
    if (const auto found = kept_.find(size); found != kept_.end()) {
      void* block = found->second.back();
      found->second.pop_back();
      if (found->second.empty()) kept_.erase(found);
      kept_bytes_ -= size;
      return block;
    }
    evict_until(peak_bytes_ + peak_bytes_ / 16 - live_bytes_);
  }
  void* const block = map(size);
  if (block == nullptr) {
    const std::lock_guard lock(mutex_);
    live_bytes_ -= size;
  }
  return block;
}

void* BlockCache::map(std::size_t size) const {
  if (accelerator_ != nullptr) return accelerator_->take(size);
  void* const block = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return nullptr;
  // Optimisations only. Where the first fails the child has the pages too; where the second does, they are
  // small: a step touches more memory than their translations can be kept for.
  ::madvise(block, size, MADV_DONTFORK);
  ::madvise(block, size, MADV_HUGEPAGE);
  return block;
}

void BlockCache::unmap(void* block, std::size_t size) const {
  if (accelerator_ != nullptr)
    accelerator_->give(block);
  else
    ::munmap(block, size);
}

void BlockCache::use_memory_of(Accelerator* accelerator) {
  drop();
  const std::lock_guard lock(mutex_);
  AFTUNE_CHECK(live_bytes_ == 0);
  accelerator_ = accelerator;
}

void BlockCache::give(void* block, std::size_t bytes) {
  const std::size_t size = class_size(bytes);
  const std::lock_guard lock(mutex_);
  live_bytes_ -= size;
  kept_[size].push_back(block);
  kept_bytes_ += size;
}

// In a child that was forked the blocks that were kept do not exist.
void BlockCache::forget_if_forked() {
  if (owner_ == ::getpid()) return;
  owner_ = ::getpid();
  kept_.clear();
  kept_bytes_ = 0;
}

// Largest first: fewest calls, and the small ones are asked for most often.
void BlockCache::evict_until(std::uint64_t kept) {
  while (kept_bytes_ > kept) {
    const auto largest = std::prev(kept_.end());
    unmap(largest->second.back(), largest->first);
    kept_bytes_ -= largest->first;
    largest->second.pop_back();
    if (largest->second.empty()) kept_.erase(largest);
  }
}

void BlockCache::drop() {
  const std::lock_guard lock(mutex_);
  forget_if_forked();
  evict_until(0);
}

std::uint64_t BlockCache::kept_bytes() const {
  const std::lock_guard lock(mutex_);
  return kept_bytes_;
}

BlockCache& block_cache() {
  static BlockCache& cache = *new BlockCache;
  return cache;
}

}  // namespace aftune::tensor
