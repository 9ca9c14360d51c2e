// A thread hashes a chunk of 1024 bytes; a block of 128 of them then joins its chunks' values, a level of the
// tree at a time.

#include "kernels/cuda/blake3.h"

#include "kernels/cuda/device.cuh"
#include "kernels/target.h"

namespace aftune::kernels::cuda {
namespace {

constexpr std::size_t kBlockBytes = 64, kChunkBytes = 1024;
constexpr int kCvWords = 8, kBlockWords = 16;
constexpr int kThreads = 128;  // of a block, one for each chunk of a piece

enum Flag : std::uint32_t { kChunkStart = 1, kChunkEnd = 2, kParent = 4 };

AFTUNE_OP std::uint32_t rotate(std::uint32_t x, int bits) {
  return x >> bits | x << (32 - bits);
}

AFTUNE_OP void mix(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c, std::uint32_t& d, std::uint32_t x,
                   std::uint32_t y) {
  a = a + b + x;
  d = rotate(d ^ a, 16);
  c = c + d;
  b = rotate(b ^ c, 12);
  a = a + b + y;
  d = rotate(d ^ a, 8);
  c = c + d;
  b = rotate(b ^ c, 7);
}

/// The eight words of a chaining value, the IV to begin with.
struct Cv {
  std::uint32_t words[kCvWords];

  AFTUNE_OP static Cv iv() {
    return {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
  }
};

struct Words {
  std::uint32_t of[kBlockWords];

  /// Their order in the next round (BLAKE3 paper, table 2).
  AFTUNE_OP void permute() {
    const Words o = *this;
    *this = {{o.of[2], o.of[6], o.of[3], o.of[10], o.of[7], o.of[0], o.of[4], o.of[13], o.of[1], o.of[11],
              o.of[12], o.of[5], o.of[9], o.of[14], o.of[15], o.of[8]}};
  }
};

/// The first half of the compression's output, which is all that a digest of 32 bytes or a chaining value
/// has.
AFTUNE_OP Cv compress(const Cv& cv, Words m, std::uint64_t counter, std::uint32_t flags) {
  const Cv iv = Cv::iv();
  std::uint32_t v[16];
  AFTUNE_UNROLL
  for (int i = 0; i < kCvWords; ++i) v[i] = cv.words[i];
  AFTUNE_UNROLL
  for (int i = 0; i < 4; ++i) v[8 + i] = iv.words[i];
  v[12] = static_cast<std::uint32_t>(counter);
  v[13] = static_cast<std::uint32_t>(counter >> 32);
  v[14] = kBlockBytes;
  v[15] = flags;
  AFTUNE_UNROLL
  for (int round = 0; round < 7; ++round) {
    mix(v[0], v[4], v[8], v[12], m.of[0], m.of[1]);
    mix(v[1], v[5], v[9], v[13], m.of[2], m.of[3]);
    mix(v[2], v[6], v[10], v[14], m.of[4], m.of[5]);
    mix(v[3], v[7], v[11], v[15], m.of[6], m.of[7]);
    mix(v[0], v[5], v[10], v[15], m.of[8], m.of[9]);
    mix(v[1], v[6], v[11], v[12], m.of[10], m.of[11]);
    mix(v[2], v[7], v[8], v[13], m.of[12], m.of[13]);
    mix(v[3], v[4], v[9], v[14], m.of[14], m.of[15]);
    m.permute();
  }
  Cv out;
  AFTUNE_UNROLL
  for (int i = 0; i < kCvWords; ++i) out.words[i] = v[i] ^ v[i + 8];
  return out;
}

AFTUNE_OP Cv parent(const Cv& left, const Cv& right) {
  Words m;
  AFTUNE_UNROLL
  for (int i = 0; i < kCvWords; ++i) {
    m.of[i] = left.words[i];
    m.of[i + kCvWords] = right.words[i];
  }
  return compress(Cv::iv(), m, 0, kParent);
}

/// A block as little-endian words.
AFTUNE_OP Words load_words(const std::uint8_t* bytes) {
  Words m;
  if (reinterpret_cast<std::uintptr_t>(bytes) % 16 == 0) {
    AFTUNE_UNROLL
    for (int i = 0; i < 4; ++i) {
      const uint4 four = reinterpret_cast<const uint4*>(bytes)[i];
      m.of[4 * i] = four.x;
      m.of[4 * i + 1] = four.y;
      m.of[4 * i + 2] = four.z;
      m.of[4 * i + 3] = four.w;
    }
    return m;
  }
  AFTUNE_UNROLL
  for (int i = 0; i < kBlockWords; ++i) {
    std::uint32_t word = 0;
    AFTUNE_UNROLL
    for (int b = 0; b < 4; ++b) word |= static_cast<std::uint32_t>(bytes[4 * i + b]) << (8 * b);
    m.of[i] = word;
  }
  return m;
}

/// The value of chunk number `counter`.
AFTUNE_OP Cv chunk(const std::uint8_t* bytes, std::uint64_t counter) {
  constexpr std::size_t kLast = kChunkBytes - kBlockBytes;
  Cv cv = Cv::iv();
  for (std::size_t at = 0; at < kLast; at += kBlockBytes)
    cv = compress(cv, load_words(bytes + at), counter, at == 0 ? kChunkStart : 0u);
  return compress(cv, load_words(bytes + kLast), counter, kChunkEnd);
}

using SharedCvs = Cv[kThreads];

__global__ void hash_pieces(const std::uint8_t* bytes, std::uint64_t counter, Cv* to) {
  AFTUNE_SHARED(SharedCvs, cvs);
  const unsigned i = threadIdx.x;
  const std::uint64_t at = static_cast<std::uint64_t>(blockIdx.x) * kThreads + i;
  Cv own = chunk(bytes + at * kChunkBytes, counter + at);
  for (unsigned count = kThreads; count > 1; count /= 2) {
    cvs[i] = own;
    __syncthreads();
    if (2 * i < count) own = parent(cvs[2 * i], cvs[2 * i + 1]);
    __syncthreads();
  }
  if (i == 0) to[blockIdx.x] = own;
}

}  // namespace

void blake3_values(Stream stream, const void* bytes, std::int64_t pieces, std::uint64_t counter,
                   void* values) {
  if (pieces == 0) return;
  launch(hash_pieces, static_cast<unsigned>(pieces), kThreads, 0, stream,
         static_cast<const std::uint8_t*>(bytes), counter, static_cast<Cv*>(values));
}

}  // namespace aftune::kernels::cuda
