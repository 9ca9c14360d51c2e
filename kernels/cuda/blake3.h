#pragma once

// BLAKE3 of what lies in device memory: hash/blake3.h's digests. Calls are queued on the stream and return at
// once.

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/stream.h"

namespace aftune::kernels::cuda {

/// Device memory that a hash needs while it runs, at a 16-byte boundary.
inline constexpr std::size_t kBlake3Workspace =
    (std::size_t{64} + 16384 / 32 + (std::size_t{1} << 16) / 128) * 32;
inline constexpr std::size_t kBlake3DigestBytes = 32;

/// BLAKE3 fed piece by piece. What has been fed is known to the host, what came of it is in the workspace,
/// which is this object's alone until the stream has done what was queued.
class Blake3 {
 public:
  explicit Blake3(void* workspace) : workspace_(static_cast<std::byte*>(workspace)) {}

  /// `bytes` is device memory. All calls for one hash are on one stream.
  void update(Stream stream, const void* bytes, std::size_t size);
  /// The digest of all bytes so far, to 32 bytes of device memory; more may follow.
  void finish(Stream stream, void* digest) const;
  /// Forgets what was fed.
  void reset() { chunks_ = root_count_ = pending_ = 0; }

 private:
  void take_subtree(Stream stream, const std::byte* bytes, std::size_t size);
  void keep(Stream stream, const std::byte*& bytes, std::size_t& size);

  std::byte* workspace_;
  std::uint64_t chunks_ = 0;  ///< hashed; the pending bytes follow
  std::uint64_t root_count_ = 0;
  std::uint64_t pending_ = 0;  ///< bytes
};

/// Chaining values, of 32 bytes each, of `pieces` pieces of 128 chunks, the first of which is number
/// `counter`: of a subtree of several, or of the whole it is the host that joins them.
void blake3_values(Stream stream, const void* bytes, std::int64_t pieces, std::uint64_t counter,
                   void* values);

/// BLAKE3 of one buffer.
void blake3(Stream stream, const void* bytes, std::size_t size, void* workspace, void* digest);

}  // namespace aftune::kernels::cuda
