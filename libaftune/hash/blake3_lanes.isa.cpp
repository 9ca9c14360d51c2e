// BLAKE3's compression function for one instruction set (compiled once for each), in two shapes:
// - Lanes<N>: N independent inputs side by side, word i of all of them in one vector. The fast path.
// - Rows: the 4x4 state of one input, a row in a vector. For what does not fill lanes.
// GCC's and Clang's vector extensions turn both into whatever the target has.
#include <cstddef>
#include <cstdint>

#include "hash/blake3_lanes.h"

namespace aftune::hash::AFTUNE_ISA_NAMESPACE {
namespace {

#if defined(__AVX512F__)
constexpr int kWidest = 16;
#elif defined(__AVX2__)
constexpr int kWidest = 8;
#else
constexpr int kWidest = 4;
#endif

#define AFTUNE_INLINE inline __attribute__((always_inline))

// Order of the message words in each of the seven rounds: the permutation, applied again and again.
constexpr unsigned char kSchedule[7][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                            {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
                                            {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
                                            {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
                                            {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
                                            {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
                                            {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13}};

template <int N>
struct Vector {
  typedef std::uint32_t type __attribute__((vector_size(N * 4)));
};
template <int N>
using Words = typename Vector<N>::type;

template <class V>
AFTUNE_INLINE V load(const void* from) {
  V out;
  __builtin_memcpy(&out, from, sizeof(V));
  return out;
}
template <class V>
AFTUNE_INLINE void store(void* to, V value) {
  __builtin_memcpy(to, &value, sizeof(V));
}

template <int kBits, class V>
AFTUNE_INLINE V rotate(V x) {
  return x >> kBits | x << (32 - kBits);
}

// ---- Transposes: a step interleaves, at a distance, the words of two vectors.

template <int kGroup>
AFTUNE_INLINE void interleave(Words<4>& a, Words<4>& b) {
  const Words<4> x = a, y = b;
  if constexpr (kGroup == 1) {
    a = __builtin_shufflevector(x, y, 0, 4, 1, 5);
    b = __builtin_shufflevector(x, y, 2, 6, 3, 7);
  } else {
    a = __builtin_shufflevector(x, y, 0, 1, 4, 5);
    b = __builtin_shufflevector(x, y, 2, 3, 6, 7);
  }
}

template <int kGroup>
AFTUNE_INLINE void interleave(Words<8>& a, Words<8>& b) {
  const Words<8> x = a, y = b;
  if constexpr (kGroup == 1) {
    a = __builtin_shufflevector(x, y, 0, 8, 1, 9, 4, 12, 5, 13);
    b = __builtin_shufflevector(x, y, 2, 10, 3, 11, 6, 14, 7, 15);
  } else if constexpr (kGroup == 2) {
    a = __builtin_shufflevector(x, y, 0, 1, 8, 9, 4, 5, 12, 13);
    b = __builtin_shufflevector(x, y, 2, 3, 10, 11, 6, 7, 14, 15);
  } else {
    a = __builtin_shufflevector(x, y, 0, 1, 2, 3, 8, 9, 10, 11);
    b = __builtin_shufflevector(x, y, 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

template <int kGroup>
AFTUNE_INLINE void interleave(Words<16>& a, Words<16>& b) {
  const Words<16> x = a, y = b;
  if constexpr (kGroup == 1) {
    a = __builtin_shufflevector(x, y, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    b = __builtin_shufflevector(x, y, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  } else if constexpr (kGroup == 2) {
    a = __builtin_shufflevector(x, y, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
    b = __builtin_shufflevector(x, y, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
  } else if constexpr (kGroup == 4) {
    a = __builtin_shufflevector(x, y, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
    b = __builtin_shufflevector(x, y, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
  } else {
    a = __builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
    b = __builtin_shufflevector(x, y, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  }
}

// Rows 0 .. N-1 of N words each become columns. After the two steps inside 128-bit groups, row r of the
// result is at place r with its two low bits exchanged, which the last exchange undoes.
template <int N>
AFTUNE_INLINE void transpose(Words<N>* m) {
  for (int i = 0; i < N; i += 2) interleave<1>(m[i], m[i + 1]);
  for (int i = 0; i < N; i += 4) interleave<2>(m[i], m[i + 2]), interleave<2>(m[i + 1], m[i + 3]);
  for (int i = 0; i < N; i += 4) {
    const Words<N> middle = m[i + 1];
    m[i + 1] = m[i + 2], m[i + 2] = middle;
  }
  if constexpr (N >= 8)
    for (int i = 0; i < N; i += 8)
      for (int j = i; j < i + 4; ++j) interleave<4>(m[j], m[j + 4]);
  if constexpr (N >= 16)
    for (int j = 0; j < 8; ++j) interleave<8>(m[j], m[j + 8]);
}

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

template <int kRound, class V>
AFTUNE_INLINE void round(V* v, const V* m) {
  constexpr const unsigned char* s = kSchedule[kRound];
  mix(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
  mix(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
  mix(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
  mix(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
  mix(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
  mix(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
  mix(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
  mix(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
}

template <class V>
AFTUNE_INLINE V all(std::uint32_t word) {
  return V{} + word;
}

// Word w of the block at `offset` in each of the N inputs, as vector m[w].
template <int N>
AFTUNE_INLINE void load_block(const std::byte* const* inputs, std::size_t offset, Words<N>* m) {
  for (int part = 0; part < 16; part += N) {
    for (int i = 0; i < N; ++i) m[part + i] = load<Words<N>>(inputs[i] + offset + part * 4);
    transpose<N>(m + part);
  }
}

struct Mode {
  const std::uint32_t* key;
  std::uint64_t counter;  // of the first input
  std::uint32_t step;     // 1: inputs are consecutive chunks; 0: all have number `counter`
  std::uint32_t flags, first_flags, last_flags;
};

// Chaining values of N inputs of `blocks` blocks each; `cvs` gets the first `wanted`.
template <int N>
void hash_lanes(const std::byte* const* inputs, std::size_t blocks, const Mode& mode, std::byte* cvs,
                std::size_t wanted) {
  using V = Words<N>;
  V h[8], low, high;
  for (int i = 0; i < 8; ++i) h[i] = all<V>(mode.key[i]);
  for (int i = 0; i < N; ++i) {
    const std::uint64_t counter = mode.counter + static_cast<std::uint64_t>(i) * mode.step;
    low[i] = static_cast<std::uint32_t>(counter);
    high[i] = static_cast<std::uint32_t>(counter >> 32);
  }
  std::uint32_t flags = mode.flags | mode.first_flags;
  for (std::size_t block = 0; block < blocks; ++block) {
    if (block + 1 == blocks) flags |= mode.last_flags;
    V m[16];
    load_block<N>(inputs, block * kBlockBytes, m);
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
  alignas(64) std::uint32_t words[8][N];
  for (int i = 0; i < 8; ++i) store(words[i], h[i]);
  for (std::size_t lane = 0; lane < wanted; ++lane)
    for (int i = 0; i < 8; ++i) __builtin_memcpy(cvs + lane * kCvBytes + i * 4, &words[i][lane], 4);
}

// ---- One input.

using Row = Words<4>;

AFTUNE_INLINE void mix_rows(Row* v, Row x, Row y) {
  mix(v[0], v[1], v[2], v[3], x, y);
}

template <int kRound>
AFTUNE_INLINE void round_rows(Row* v, const std::uint32_t* m) {
  constexpr const unsigned char* s = kSchedule[kRound];
  mix_rows(v, Row{m[s[0]], m[s[2]], m[s[4]], m[s[6]]}, Row{m[s[1]], m[s[3]], m[s[5]], m[s[7]]});
  v[1] = __builtin_shufflevector(v[1], v[1], 1, 2, 3, 0);
  v[2] = __builtin_shufflevector(v[2], v[2], 2, 3, 0, 1);
  v[3] = __builtin_shufflevector(v[3], v[3], 3, 0, 1, 2);
  mix_rows(v, Row{m[s[8]], m[s[10]], m[s[12]], m[s[14]]}, Row{m[s[9]], m[s[11]], m[s[13]], m[s[15]]});
  v[1] = __builtin_shufflevector(v[1], v[1], 3, 0, 1, 2);
  v[2] = __builtin_shufflevector(v[2], v[2], 2, 3, 0, 1);
  v[3] = __builtin_shufflevector(v[3], v[3], 1, 2, 3, 0);
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
