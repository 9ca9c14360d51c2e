// A thread hashes a chunk of 1024 bytes; a block of 128 of them then joins its chunks' values, a level of the
// tree at a time. Subtrees of a power of two of chunks are complete trees. They end in one value each, the
// roots; these wait in the workspace until more bytes show that they are not the end, as in
// libaftune/hash/blake3.cpp.

#include "kernels/cuda/blake3.h"

#include <bit>

#include "kernels/cuda/device.cuh"
#include "kernels/target.h"

namespace aftune::kernels::cuda {
namespace {

constexpr std::size_t kBlockBytes = 64, kChunkBytes = 1024, kCvBytes = 32;
constexpr int kCvWords = 8, kBlockWords = 16;
constexpr int kThreads = 128;
// Bytes wait until more than so many are there: whatever is hashed is then known not to be the end.
constexpr std::size_t kPending = 16 * kChunkBytes;
constexpr std::size_t kMostRoots = 64;                     // one per bit of the number of chunks
constexpr std::size_t kMostChunks = std::size_t{1} << 16;  // of a subtree

// The workspace: roots, pending bytes, values of a subtree's blocks.
constexpr std::size_t kPendingAt = kMostRoots * kCvBytes;
constexpr std::size_t kValuesAt = kPendingAt + kPending;
static_assert(kValuesAt + kMostChunks / kThreads * kCvBytes == kBlake3Workspace);

enum Flag : std::uint32_t { kChunkStart = 1, kChunkEnd = 2, kParent = 4, kRoot = 8 };

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
AFTUNE_OP Cv compress(const Cv& cv, Words m, std::uint64_t counter, std::uint32_t length,
                      std::uint32_t flags) {
  const Cv iv = Cv::iv();
  std::uint32_t v[16];
  AFTUNE_UNROLL
  for (int i = 0; i < kCvWords; ++i) v[i] = cv.words[i];
  AFTUNE_UNROLL
  for (int i = 0; i < 4; ++i) v[8 + i] = iv.words[i];
  v[12] = static_cast<std::uint32_t>(counter);
  v[13] = static_cast<std::uint32_t>(counter >> 32);
  v[14] = length;
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

AFTUNE_OP Cv parent(const Cv& left, const Cv& right, std::uint32_t flags) {
  Words m;
  AFTUNE_UNROLL
  for (int i = 0; i < kCvWords; ++i) {
    m.of[i] = left.words[i];
    m.of[i + kCvWords] = right.words[i];
  }
  return compress(Cv::iv(), m, 0, kBlockBytes, kParent | flags);
}

/// `length` bytes as little-endian words, zeros after them.
AFTUNE_OP Words load_words(const std::uint8_t* bytes, std::size_t length) {
  Words m;
  const bool whole = length == kBlockBytes && reinterpret_cast<std::uintptr_t>(bytes) % 16 == 0;
  if (whole) {
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
  for (std::size_t i = 0; i < kBlockWords; ++i) {
    std::uint32_t word = 0;
    AFTUNE_UNROLL
    for (std::size_t b = 0; b < 4; ++b)
      if (4 * i + b < length) word |= static_cast<std::uint32_t>(bytes[4 * i + b]) << (8 * b);
    m.of[i] = word;
  }
  return m;
}

/// The value of a chunk of `length` <= 1024 bytes; `flags` are for its last block.
AFTUNE_OP Cv chunk(const std::uint8_t* bytes, std::size_t length, std::uint64_t counter,
                   std::uint32_t flags) {
  Cv cv = Cv::iv();
  std::uint32_t start = kChunkStart;
  std::size_t at = 0;
  for (; length - at > kBlockBytes; at += kBlockBytes) {
    cv = compress(cv, load_words(bytes + at, kBlockBytes), counter, kBlockBytes, start);
    start = 0;
  }
  return compress(cv, load_words(bytes + at, length - at), counter, static_cast<std::uint32_t>(length - at),
                  start | kChunkEnd | flags);
}

using SharedCvs = Cv[kThreads];

/// Joins `count` values, a level at a time, to one, which thread 0 returns; an odd one out moves up as it is.
/// `flags` are for the last parent. By all threads of the block, of which thread i brings value i.
AFTUNE_OP Cv join(SharedCvs& cvs, Cv own, unsigned count, std::uint32_t flags) {
  const unsigned i = threadIdx.x;
  while (count > 1) {
    cvs[i] = own;
    __syncthreads();
    if (2 * i + 1 < count)
      own = parent(cvs[2 * i], cvs[2 * i + 1], count == 2 ? flags : 0);
    else if (2 * i < count)
      own = cvs[2 * i];
    __syncthreads();
    count = (count + 1) / 2;
  }
  return own;
}

/// A power of two of whole chunks: each block of threads leaves the value of its at most 128.
__global__ void hash_chunks(const std::uint8_t* bytes, unsigned chunks, std::uint64_t counter, Cv* to) {
  AFTUNE_SHARED(SharedCvs, cvs);
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  Cv own = Cv::iv();
  if (i < chunks) own = chunk(bytes + i * kChunkBytes, kChunkBytes, counter + i, 0);
  own = join(cvs, own, chunks < kThreads ? chunks : kThreads, 0);
  if (threadIdx.x == 0) to[blockIdx.x] = own;
}

/// The same for a power of two of values, in place.
__global__ void join_values(Cv* values, unsigned count) {
  AFTUNE_SHARED(SharedCvs, cvs);
  // By one block alone, which takes 128 values after the other: what it writes it has read before.
  for (unsigned first = 0; first < count; first += kThreads) {
    Cv own = Cv::iv();
    if (first + threadIdx.x < count) own = values[first + threadIdx.x];
    own = join(cvs, own, count < kThreads ? count : kThreads, 0);
    if (threadIdx.x == 0) values[first / kThreads] = own;
  }
}

/// values[0] becomes the last of `count` roots, and the last `joins` pairs of them one each.
__global__ void push_root(const Cv* values, Cv* roots, unsigned count, unsigned joins) {
  Cv last = values[0];
  for (unsigned i = 0; i < joins; ++i) last = parent(roots[count - 1 - i], last, 0);
  roots[count - joins] = last;
}

/// The pending bytes' subtree, joined with all roots from the last one on, as the root of all.
__global__ void finish_hash(const std::uint8_t* pending, std::size_t length, std::uint64_t counter,
                            const Cv* roots, unsigned root_count, std::uint8_t* digest) {
  AFTUNE_SHARED(SharedCvs, cvs);
  const std::size_t first = threadIdx.x * kChunkBytes;
  const unsigned chunks = length == 0 ? 1 : static_cast<unsigned>((length + kChunkBytes - 1) / kChunkBytes);
  const std::uint32_t flags = root_count == 0 ? kRoot : 0u;
  Cv own = Cv::iv();
  if (threadIdx.x < chunks) {
    const std::size_t own_length = length - first < kChunkBytes ? length - first : kChunkBytes;
    own = chunk(pending + first, own_length, counter + threadIdx.x, chunks == 1 ? flags : 0);
  }
  own = join(cvs, own, chunks, flags);
  if (threadIdx.x != 0) return;
  for (unsigned i = root_count; i > 0; --i) own = parent(roots[i - 1], own, i == 1 ? kRoot : 0u);
  AFTUNE_UNROLL
  for (int i = 0; i < kCvWords; ++i)
    for (int b = 0; b < 4; ++b) digest[4 * i + b] = static_cast<std::uint8_t>(own.words[i] >> (8 * b));
}

__global__ void copy_bytes(const std::uint8_t* from, std::size_t size, std::uint8_t* to) {
  for (std::size_t i = threadIdx.x; i < size; i += kThreads) to[i] = from[i];
}

const std::uint8_t* octets(const void* bytes) {
  return static_cast<const std::uint8_t*>(bytes);
}

}  // namespace

void Blake3::keep(Stream stream, const std::byte*& bytes, std::size_t& size) {
  const std::size_t count = size < kPending - pending_ ? size : kPending - pending_;
  if (count != 0)
    launch(copy_bytes, 1, kThreads, 0, stream, octets(bytes), count,
           reinterpret_cast<std::uint8_t*>(workspace_ + kPendingAt + pending_));
  pending_ += count;
  bytes += count;
  size -= count;
}

// A power of two of chunks, more of which follow; their number so far is a multiple of it.
void Blake3::take_subtree(Stream stream, const std::byte* bytes, std::size_t size) {
  Cv* const values = reinterpret_cast<Cv*>(workspace_ + kValuesAt);
  const auto count = static_cast<unsigned>(size / kChunkBytes);
  const unsigned blocks = (count + kThreads - 1) / kThreads;
  launch(hash_chunks, blocks, kThreads, 0, stream, octets(bytes), count, chunks_, values);
  for (unsigned left = blocks; left > 1; left = (left + kThreads - 1) / kThreads)
    launch(join_values, 1, kThreads, 0, stream, values, left);
  chunks_ += count;
  const auto roots = static_cast<std::uint64_t>(std::popcount(chunks_));
  launch(push_root, 1, 1, 0, stream, values, reinterpret_cast<Cv*>(workspace_),
         static_cast<unsigned>(root_count_), static_cast<unsigned>(root_count_ + 1 - roots));
  root_count_ = roots;
}

void Blake3::update(Stream stream, const void* data, std::size_t size) {
  const std::byte* bytes = static_cast<const std::byte*>(data);
  if (pending_ != 0) {
    keep(stream, bytes, size);
    if (size == 0) return;
    take_subtree(stream, workspace_ + kPendingAt, kPending);
    pending_ = 0;
  }
  while (size > kPending) {
    std::uint64_t most = kMostChunks;
    if (chunks_ != 0 && (std::uint64_t{1} << std::countr_zero(chunks_)) < most)
      most = std::uint64_t{1} << std::countr_zero(chunks_);
    const std::uint64_t whole = std::bit_floor(size - 1) / kChunkBytes;
    const std::size_t part = (whole < most ? whole : most) * kChunkBytes;
    take_subtree(stream, bytes, part);
    bytes += part;
    size -= part;
  }
  keep(stream, bytes, size);
}

void Blake3::finish(Stream stream, void* digest) const {
  launch(finish_hash, 1, kThreads, 0, stream, octets(workspace_ + kPendingAt),
         static_cast<std::size_t>(pending_), chunks_, reinterpret_cast<const Cv*>(workspace_),
         static_cast<unsigned>(root_count_), static_cast<std::uint8_t*>(digest));
}

void blake3_values(Stream stream, const void* bytes, std::int64_t pieces, std::uint64_t counter,
                   void* values) {
  if (pieces == 0) return;
  launch(hash_chunks, static_cast<unsigned>(pieces), kThreads, 0, stream, octets(bytes),
         static_cast<unsigned>(pieces * kThreads), counter, static_cast<Cv*>(values));
}

void blake3(Stream stream, const void* bytes, std::size_t size, void* workspace, void* digest) {
  Blake3 hash(workspace);
  hash.update(stream, bytes, size);
  hash.finish(stream, digest);
}

}  // namespace aftune::kernels::cuda
