#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/parallel.h"

namespace aftune::hash {

/// BLAKE3 of one buffer in one call: the fast path for tensors. With a pool, large inputs are split over its
/// threads; the digest is the same.
Digest blake3(ByteView bytes, ThreadPool* pool = nullptr);
inline Digest blake3(std::string_view text) {
  return blake3(as_bytes(text));
}

/// BLAKE3 in keyed mode.
Digest blake3_keyed(const Digest& key, ByteView bytes);
/// BLAKE3 in derive_key mode; `context` is a constant of this program, such as "aftune/draw/1".
Digest blake3_derive_key(std::string_view context, ByteView material);

/// BLAKE3 fed piece by piece, in any of the three modes, with extendable output.
class Blake3 {
 public:
  Blake3();
  static Blake3 keyed(const Digest& key);
  static Blake3 derive_key(std::string_view context);
  Blake3(const Blake3&);
  Blake3(Blake3&&) noexcept;
  Blake3& operator=(const Blake3&);
  Blake3& operator=(Blake3&&) noexcept;
  ~Blake3();

  Blake3& update(ByteView bytes, ThreadPool* pool = nullptr);
  Blake3& update(std::string_view text) { return update(as_bytes(text)); }
  /// The digest of all bytes so far; more may follow.
  Digest finish() const;
  /// `out.size()` bytes of extended output from byte `offset` on.
  void finish_xof(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  struct State;
  explicit Blake3(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace aftune::hash
