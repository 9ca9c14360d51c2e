#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace aftune {

/// A device that computes in place of a pool's threads (kernels/device.h has the arithmetic). What it is
/// given lies in memory that it shares with this process, which tensors are made of while it is in use
/// (tensor::use_memory_of). Every call returns when its work is done, so that the processor may read what it
/// left. Throws Error{kDevice} if the device fails, and then it is of no more use.
///
/// Not thread-safe, but for take, give and holds.
class Accelerator {
 public:
  virtual ~Accelerator() = default;

  virtual std::string name() const = 0;  ///< "NVIDIA H200 (cuda:0)"

  /// Page-aligned memory that both reach, contents undefined; null if there is none.
  virtual void* take(std::size_t bytes) = 0;
  virtual void give(void* block) noexcept = 0;
  /// Whether this lies in such memory.
  virtual bool holds(const void* at) const = 0;

  virtual void copy(std::byte* to, const std::byte* from, std::size_t bytes) = 0;
  /// Stores zeros.
  virtual void clear(std::byte* at, std::size_t bytes) = 0;

  /// Bytes whose hash is one value of blake3_values.
  static constexpr std::size_t kHashPiece = std::size_t{128} << 10;
  /// Chaining values of the plain BLAKE3 (hash/blake3_tree.h), 32 bytes each, of the pieces of `bytes`, which
  /// are whole. The first chunk is number `counter`.
  virtual void blake3_values(ByteView bytes, std::uint64_t counter, std::byte* cvs) = 0;
};

}  // namespace aftune
