#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cpu.h"

// The compression function of BLAKE3, once per instruction set. Everything about the tree (chunks, subtrees,
// the root) is in blake3_tree.h. Words are little-endian u32, as loaded.
namespace aftune::hash {

inline constexpr std::size_t kBlockBytes = 64;
inline constexpr std::size_t kChunkBytes = 1024;
inline constexpr std::size_t kCvBytes = 32;

inline constexpr std::uint32_t kIv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

enum Blake3Flag : std::uint32_t {
  kChunkStart = 1,
  kChunkEnd = 2,
  kParent = 4,
  kRoot = 8,
  kKeyedHash = 16,
  kDeriveKeyContext = 32,
  kDeriveKeyMaterial = 64,
};

/// What one instruction set offers. `key` is 8 words and `flags` holds the mode's flags; the others are added
/// inside.
struct Blake3Lanes {
  /// Inputs that hash_chunks and hash_parents work on at once; more is fine, and a multiple of it is best.
  std::size_t degree;
  /// Chaining values (8 words each) of `count` whole chunks; the first has number `counter`.
  void (*hash_chunks)(const std::byte* chunks, std::size_t count, const std::uint32_t* key,
                      std::uint64_t counter, std::uint32_t flags, std::byte* cvs);
  /// Chaining values of `count` parents, whose pairs of children lie end to end. `cvs` may equal `children`.
  void (*hash_parents)(const std::byte* children, std::size_t count, const std::uint32_t* key,
                       std::uint32_t flags, std::byte* cvs);
  /// Compresses `count` whole blocks of one chunk into `cv`; the first also has `start_flags`.
  void (*absorb)(std::uint32_t* cv, const std::byte* blocks, std::size_t count, std::uint64_t counter,
                 std::uint32_t flags, std::uint32_t start_flags);
  /// The whole 16-word output of one compression.
  void (*compress)(const std::uint32_t* cv, const std::byte* block, std::uint64_t counter,
                   std::uint32_t length, std::uint32_t flags, std::byte* out);
};

const Blake3Lanes& blake3_lanes(Isa isa);

}  // namespace aftune::hash
