#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"

namespace aftune {

/// A device that computes in place of a pool's threads (kernels/device.h has the arithmetic). What it is
/// given lies in memory that it shares with this process, which tensors are made of while it is in use
/// (tensor::use_memory_of). Every call returns when its work is done, so that the processor may read what it
/// left, unless calls are queued. Throws Error{kDevice} if the device fails, and then it is of no more use.
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

  /// From now on calls without a result return at once, and their work is done in order. Until wait() the
  /// processor may not read what they write, nor write what they read, nor what it has freed and taken again;
  /// lists of integers are copied. A call with a result waits for all before it. False: waits, and ends that.
  virtual void queue_calls(bool on) = 0;
  /// Returns when all that was queued is done.
  virtual void wait() = 0;

  /// A place in the order of what it was given.
  class Point {
   public:
    virtual ~Point() = default;
  };
  /// Behind all of it so far.
  virtual std::unique_ptr<Point> point() = 0;
  /// Another way to the same device, for one other thread: what it is given goes on beside what this one is
  /// given. It must not outlive this one.
  virtual std::unique_ptr<Accelerator> beside() = 0;
  /// What this one is given from now on is begun when that point is passed, of whichever way it is.
  virtual void after(const Point& point) = 0;

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
