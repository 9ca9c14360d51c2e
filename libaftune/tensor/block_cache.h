#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "base/accelerator.h"

namespace aftune::tensor {

/// Keeps large blocks of memory that were freed, so that a training step finds its activations' pages mapped
/// already. Blocks are cut from the system in size classes that waste at most 1/8, and a block is used again
/// only for its own class.
///
/// Bound: live and kept bytes together exceed the most that was ever live at once by a sixteenth at most.
/// That much lets a step keep the logits of its head while its backward pass takes other sizes; without it,
/// each would have to be returned to the system for the other in every step. Safe to use from several
/// threads.
///
/// A forked child does not get the blocks: whoever reads foreign bytes there has no business with tensors,
/// and pages that it shared would be copied, and so be there twice, when this process writes to them again.
///
/// With an accelerator the blocks come from its memory in place of the system's.
class BlockCache {
 public:
  static constexpr std::size_t kLeast = std::size_t{256} << 10;  ///< smaller blocks are not for this class
  BlockCache() = default;
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;
  ~BlockCache() { drop(); }

  /// The size really taken for `bytes` >= kLeast: the next of eight classes per power of two.
  static std::size_t class_size(std::size_t bytes);
  /// Page-aligned memory of class_size(bytes) bytes, contents undefined; null if the system has none.
  void* take(std::size_t bytes);
  /// Gives back what take(bytes) returned.
  void give(void* block, std::size_t bytes);
  /// Returns everything kept to the system.
  void drop();
  /// Where blocks come from after this; null is the system. No block may be live.
  void use_memory_of(Accelerator* accelerator);
  bool is_accelerated() const { return accelerator_ != nullptr; }
  std::uint64_t kept_bytes() const;

 private:
  void forget_if_forked();
  void evict_until(std::uint64_t kept);
  void* map(std::size_t size) const;
  void unmap(void* block, std::size_t size) const;

  mutable std::mutex mutex_;
  std::map<std::size_t, std::vector<void*>> kept_;  // by class size
  std::uint64_t kept_bytes_ = 0;
  std::uint64_t live_bytes_ = 0;
  std::uint64_t peak_bytes_ = 0;  // of live bytes alone
  pid_t owner_ = ::getpid();      // whose blocks kept_ are
  Accelerator* accelerator_ = nullptr;
};

/// The cache of the process. Never destroyed, so buffers in statics may outlive main().
BlockCache& block_cache();

}  // namespace aftune::tensor
