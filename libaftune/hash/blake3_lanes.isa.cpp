// BLAKE3's compression function for one instruction set (compiled once for each), in two shapes:
// - Lanes<N>: N independent inputs side by side, word i of all of them in one vector. The fast path.
// - Rows: the 4x4 state of one input, a row in a vector. For what does not fill lanes.
// GCC's and Clang's vector extensions turn both into whatever the target has.
#include <cstddef>
#include <cstdint>

#include "hash/blake3_lanes.h"
#include "hash/blake3_vectors.h"

namespace aftune::hash::AFTUNE_ISA_NAMESPACE {
namespace {

#if defined(__AVX512F__)
constexpr int kWidest = 16;
#elif defined(__AVX2__)
constexpr int kWidest = 8;
#else
constexpr int kWidest = 4;
#endif

// Order of the message words in each of the seven rounds: the permutation, applied again and again.
constexpr unsigned char kSchedule[7][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                            {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
                                            {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
                                            {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
                                            {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
                                            {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
                                            {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13}};

// ---- N inputs side by side.

template <class V>
AFTUNE_INLINE void mix(V& a, V& b, V& c, V& d, const V& x, const V& y) {
  a = a + x + b;
  d = rotate<16>(d ^ a);
  c = c + d;
  b = rotate<12>(b ^ c);
  a = a + y + b;
  d = rotate<8>(d ^ a);
  c = c + d;
  b = rotate<7>(b ^ c);
}

// Four mixes that do not depend on each other, step by step, so that each has three others to hide behind.
// Columns: kDiagonal = 0. Diagonals: kDiagonal = 1; row r is then taken from r places further on.
template <int kDiagonal, class V>
AFTUNE_INLINE void mix_four(V* v, const V* m, const unsigned char* s) {
  V* const a = v;
  const auto b = [v](int i) -> V& { return v[4 + (i + kDiagonal) % 4]; };
  const auto c = [v](int i) -> V& { return v[8 + (i + 2 * kDiagonal) % 4]; };
  const auto d = [v](int i) -> V& { return v[12 + (i + 3 * kDiagonal) % 4]; };
  for (int i = 0; i < 4; ++i) a[i] += m[s[2 * i]];
  for (int i = 0; i < 4; ++i) a[i] += b(i);
  for (int i = 0; i < 4; ++i) d(i) ^= a[i];
  for (int i = 0; i < 4; ++i) d(i) = rotate<16>(d(i));
  for (int i = 0; i < 4; ++i) c(i) += d(i);
  for (int i = 0; i < 4; ++i) b(i) ^= c(i);
  for (int i = 0; i < 4; ++i) b(i) = rotate<12>(b(i));
  for (int i = 0; i < 4; ++i) a[i] += m[s[2 * i + 1]];
  for (int i = 0; i < 4; ++i) a[i] += b(i);
  for (int i = 0; i < 4; ++i) d(i) ^= a[i];
  for (int i = 0; i < 4; ++i) d(i) = rotate<8>(d(i));
  for (int i = 0; i < 4; ++i) c(i) += d(i);
  for (int i = 0; i < 4; ++i) b(i) ^= c(i);
  for (int i = 0; i < 4; ++i) b(i) = rotate<7>(b(i));
}

template <int kRound, class V>
AFTUNE_INLINE void round(V* v, const V* m) {
  constexpr const unsigned char* s = kSchedule[kRound];
  // With 32 registers four mixes at once; with 16 that would cost more in spills than it hides.
  if constexpr (kWidest == 16) {
    mix_four<0>(v, m, s);
    mix_four<1>(v, m, s + 8);
  } else {
    mix(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
    mix(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
    mix(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
    mix(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
    mix(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
    mix(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
    mix(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
    mix(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
  }
}

template <class V>
AFTUNE_INLINE V all(std::uint32_t word) {
  return V{} + word;
}

struct Mode {
  const std::uint32_t* key;
  std::uint64_t counter;  // of the first input
  std::uint32_t step;     // 1: inputs are consecutive chunks; 0: all have number `counter`
  std::uint32_t flags, first_flags, last_flags;
};

// Numbers of the N inputs, low and high words.
template <int N>
AFTUNE_INLINE void count_lanes(const Mode& mode, Words<N>& low, Words<N>& high) {
  static constexpr std::uint32_t kLane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const Words<N> start = all<Words<N>>(static_cast<std::uint32_t>(mode.counter));
  low = start + load<Words<N>>(kLane) * mode.step;
  // A comparison gives -1 where it holds: where the low word wrapped around.
  high = all<Words<N>>(static_cast<std::uint32_t>(mode.counter >> 32)) - (Words<N>)(low < start);
}

// Word i of N chaining values in h[i], to `wanted` chaining values end to end.
template <int N>
AFTUNE_INLINE void store_cvs(Words<N>* h, std::byte* cvs, std::size_t wanted) {
  transpose_quarters(h);
  transpose_quarters(h + 4);
  for (std::size_t lane = 0; lane < wanted; ++lane) {
    const auto at = [&](int half) {
      return reinterpret_cast<const std::byte*>(&h[4 * half + lane % 4]) + lane / 4 * 16;
    };
    __builtin_memcpy(cvs + lane * kCvBytes, at(0), 16);
    __builtin_memcpy(cvs + lane * kCvBytes + 16, at(1), 16);
  }
}

// The inputs are consecutive chunks, so N chunks further on lie the ones that come next.
template <int N>
AFTUNE_INLINE void prefetch_next(const std::byte* const* inputs, std::size_t offset) {
  for (int i = 0; i < N; ++i) __builtin_prefetch(inputs[i] + offset + N * kChunkBytes, 0, 2);
}

// Chaining values of N inputs of `blocks` blocks each; `cvs` gets the first `wanted`.
template <int N>
void hash_lanes(const std::byte* const* inputs, std::size_t blocks, const Mode& mode, std::byte* cvs,
                std::size_t wanted) {
  using V = Words<N>;
  V h[8], low, high;
  for (int i = 0; i < 8; ++i) h[i] = all<V>(mode.key[i]);
  count_lanes<N>(mode, low, high);
  std::uint32_t flags = mode.flags | mode.first_flags;
  for (std::size_t block = 0; block < blocks; ++block) {
    if (block + 1 == blocks) flags |= mode.last_flags;
    V m[16];
    if (blocks > 1) prefetch_next<N>(inputs, block * kBlockBytes);
    load_block(inputs, block * kBlockBytes, m);
    V v[16] = {h[0],           h[1],           h[2], h[3],           h[4],
               h[5],           h[6],           h[7], all<V>(kIv[0]), all<V>(kIv[1]),
               all<V>(kIv[2]), all<V>(kIv[3]), low,  high,           all<V>(kBlockBytes),
               all<V>(flags)};
    round<0>(v, m);
    round<1>(v, m);
    round<2>(v, m);
    round<3>(v, m);
    round<4>(v, m);
    round<5>(v, m);
    round<6>(v, m);
    for (int i = 0; i < 8; ++i) h[i] = v[i] ^ v[i + 8];
    flags = mode.flags;
  }
  store_cvs<N>(h, cvs, wanted);
}

// ---- One input.

using Row = Words<4>;

// Diagonals become columns by turning the other three rows against row 1: that row is ready last, and a turn
// of it would be waited for.
template <int kRound>
AFTUNE_INLINE void round_rows(Row* v, const std::uint32_t* m) {
  constexpr const unsigned char* s = kSchedule[kRound];
  mix(v[0], v[1], v[2], v[3], Row{m[s[0]], m[s[2]], m[s[4]], m[s[6]]},
      Row{m[s[1]], m[s[3]], m[s[5]], m[s[7]]});
  v[0] = __builtin_shufflevector(v[0], v[0], 3, 0, 1, 2);
  v[2] = __builtin_shufflevector(v[2], v[2], 1, 2, 3, 0);
  v[3] = __builtin_shufflevector(v[3], v[3], 2, 3, 0, 1);
  mix(v[0], v[1], v[2], v[3], Row{m[s[14]], m[s[8]], m[s[10]], m[s[12]]},
      Row{m[s[15]], m[s[9]], m[s[11]], m[s[13]]});
  v[0] = __builtin_shufflevector(v[0], v[0], 1, 2, 3, 0);
  v[2] = __builtin_shufflevector(v[2], v[2], 3, 0, 1, 2);
  v[3] = __builtin_shufflevector(v[3], v[3], 2, 3, 0, 1);
}

AFTUNE_INLINE void compress_rows(Row* v, const Row* cv, const std::byte* block, std::uint64_t counter,
                                 std::uint32_t length, std::uint32_t flags) {
  std::uint32_t m[16];
  __builtin_memcpy(m, block, kBlockBytes);
  v[0] = cv[0];
  v[1] = cv[1];
  v[2] = Row{kIv[0], kIv[1], kIv[2], kIv[3]};
  v[3] = Row{static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), length, flags};
  round_rows<0>(v, m);
  round_rows<1>(v, m);
  round_rows<2>(v, m);
  round_rows<3>(v, m);
  round_rows<4>(v, m);
  round_rows<5>(v, m);
  round_rows<6>(v, m);
}

void absorb(std::uint32_t* cv, const std::byte* blocks, std::size_t count, std::uint64_t counter,
            std::uint32_t flags, std::uint32_t start_flags) {
  Row h[2] = {load<Row>(cv), load<Row>(cv + 4)};
  for (std::size_t i = 0; i < count; ++i) {
    Row v[4];
    compress_rows(v, h, blocks + i * kBlockBytes, counter, kBlockBytes, i == 0 ? flags | start_flags : flags);
    h[0] = v[0] ^ v[2];
    h[1] = v[1] ^ v[3];
  }
  store(cv, h[0]);
  store(cv + 4, h[1]);
}

void compress(const std::uint32_t* cv, const std::byte* block, std::uint64_t counter, std::uint32_t length,
              std::uint32_t flags, std::byte* out) {
  const Row h[2] = {load<Row>(cv), load<Row>(cv + 4)};
  Row v[4];
  compress_rows(v, h, block, counter, length, flags);
  store(out, v[0] ^ v[2]);
  store(out + 16, v[1] ^ v[3]);
  store(out + 32, v[2] ^ h[0]);
  store(out + 48, v[3] ^ h[1]);
}

// ---- Any number of inputs at a constant distance.

template <int N>
AFTUNE_INLINE void hash_group(const std::byte* first, std::size_t stride, std::size_t present,
                              std::size_t blocks, const Mode& mode, std::byte* cvs) {
  const std::byte* inputs[N];
  for (std::size_t i = 0; i < N; ++i) inputs[i] = first + (i < present ? i : 0) * stride;
  hash_lanes<N>(inputs, blocks, mode, cvs, present);
}

// Lanes without an input of their own repeat the first: a pass costs the same however many are used.
void hash_many(const std::byte* first, std::size_t stride, std::size_t count, std::size_t blocks, Mode mode,
               std::byte* cvs) {
  while (count > 0) {
    const std::size_t present = count < kWidest ? count : kWidest;
    if (present > 8)
      hash_group<kWidest>(first, stride, present, blocks, mode, cvs);
    else if (present > 4)
      hash_group<(kWidest < 8 ? kWidest : 8)>(first, stride, present, blocks, mode, cvs);
    else
      hash_group<4>(first, stride, present, blocks, mode, cvs);
    first += present * stride;
    cvs += present * kCvBytes;
    mode.counter += present * mode.step;
    count -= present;
  }
}

void hash_chunks(const std::byte* chunks, std::size_t count, const std::uint32_t* key, std::uint64_t counter,
                 std::uint32_t flags, std::byte* cvs) {
  const Mode mode{key, counter, 1, flags, kChunkStart, kChunkEnd};
  hash_many(chunks, kChunkBytes, count, kChunkBytes / kBlockBytes, mode, cvs);
}

void hash_parents(const std::byte* children, std::size_t count, const std::uint32_t* key, std::uint32_t flags,
                  std::byte* cvs) {
  hash_many(children, 2 * kCvBytes, count, 1, Mode{key, 0, 0, flags | kParent, 0, 0}, cvs);
}

}  // namespace

extern const Blake3Lanes blake3_lanes;
const Blake3Lanes blake3_lanes = {kWidest, hash_chunks, hash_parents, absorb, compress};

}  // namespace aftune::hash::AFTUNE_ISA_NAMESPACE
