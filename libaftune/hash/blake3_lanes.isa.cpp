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

// ---- Transposes. Vectors are seen as 128-bit quarters, inside which words are exchanged first.

template <int N>
struct Pairs {
  typedef std::uint64_t type __attribute__((vector_size(N * 4)));
};

template <class V>
AFTUNE_INLINE void interleave_words(V& a, V& b) {
  const V x = a, y = b;
  if constexpr (sizeof(V) == 16) {
    a = __builtin_shufflevector(x, y, 0, 4, 1, 5);
    b = __builtin_shufflevector(x, y, 2, 6, 3, 7);
  } else if constexpr (sizeof(V) == 32) {
    a = __builtin_shufflevector(x, y, 0, 8, 1, 9, 4, 12, 5, 13);
    b = __builtin_shufflevector(x, y, 2, 10, 3, 11, 6, 14, 7, 15);
  } else {
    a = __builtin_shufflevector(x, y, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    b = __builtin_shufflevector(x, y, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  }
}

template <class V>
AFTUNE_INLINE void interleave_pairs(V& a, V& b) {
  using P = typename Pairs<sizeof(V) / 4>::type;
  const P x = (P)a, y = (P)b;
  if constexpr (sizeof(V) == 16) {
    a = (V)__builtin_shufflevector(x, y, 0, 2);
    b = (V)__builtin_shufflevector(x, y, 1, 3);
  } else if constexpr (sizeof(V) == 32) {
    a = (V)__builtin_shufflevector(x, y, 0, 4, 2, 6);
    b = (V)__builtin_shufflevector(x, y, 1, 5, 3, 7);
  } else {
    a = (V)__builtin_shufflevector(x, y, 0, 8, 2, 10, 4, 12, 6, 14);
    b = (V)__builtin_shufflevector(x, y, 1, 9, 3, 11, 5, 13, 7, 15);
  }
}

// a becomes the even quarters of a and b, b the odd ones.
AFTUNE_INLINE void split_quarters(Words<16>& a, Words<16>& b) {
  using V = Words<16>;
  using P = typename Pairs<16>::type;
  const P x = (P)a, y = (P)b;
  a = (V)__builtin_shufflevector(x, y, 0, 1, 4, 5, 8, 9, 12, 13);
  b = (V)__builtin_shufflevector(x, y, 2, 3, 6, 7, 10, 11, 14, 15);
}

// Transposes the 4x4 words that four vectors hold in each quarter.
template <class V>
AFTUNE_INLINE void transpose_quarters(V* m) {
  interleave_words(m[0], m[1]);
  interleave_words(m[2], m[3]);
  interleave_pairs(m[0], m[2]);
  interleave_pairs(m[1], m[3]);
  const V middle = m[1];
  m[1] = m[2];
  m[2] = middle;
}

// Two halves of a vector from two places.
AFTUNE_INLINE Words<8> load_two(const std::byte* low, const std::byte* high, Words<8>) {
  return __builtin_shufflevector(load<Words<4>>(low), load<Words<4>>(high), 0, 1, 2, 3, 4, 5, 6, 7);
}
AFTUNE_INLINE Words<16> load_two(const std::byte* low, const std::byte* high, Words<16>) {
  return __builtin_shufflevector(load<Words<8>>(low), load<Words<8>>(high), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
                                 11, 12, 13, 14, 15);
}

// Word w of the blocks at `rows[0 .. N-1] + offset`, as vector m[w]. A transpose, part of which is done by
// loading halves of vectors where they are wanted.
AFTUNE_INLINE void load_block(const std::byte* const* rows, std::size_t offset, Words<4>* m) {
  for (int quarter = 0; quarter < 4; ++quarter) {
    Words<4>* const part = m + 4 * quarter;
    for (int i = 0; i < 4; ++i) part[i] = load<Words<4>>(rows[i] + offset + 16 * quarter);
    transpose_quarters(part);
  }
}
AFTUNE_INLINE void load_block(const std::byte* const* rows, std::size_t offset, Words<8>* m) {
  for (int quarter = 0; quarter < 4; ++quarter) {
    Words<8>* const part = m + 4 * quarter;
    const std::size_t at = offset + 16 * static_cast<std::size_t>(quarter);
    for (int i = 0; i < 4; ++i) part[i] = load_two(rows[i] + at, rows[i + 4] + at, Words<8>{});
    transpose_quarters(part);
  }
}
AFTUNE_INLINE void load_block(const std::byte* const* rows, std::size_t offset, Words<16>* m) {
  for (int half = 0; half < 2; ++half) {
    Words<16>* const part = m + 8 * half;
    const std::size_t at = offset + 32 * static_cast<std::size_t>(half);
    for (int i = 0; i < 4; ++i) {
      part[i] = load_two(rows[i] + at, rows[i + 4] + at, Words<16>{});
      part[i + 4] = load_two(rows[i + 8] + at, rows[i + 12] + at, Words<16>{});
    }
    transpose_quarters(part);
    transpose_quarters(part + 4);
    for (int i = 0; i < 4; ++i) split_quarters(part[i], part[i + 4]);
  }
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
  mix_four<0>(v, m, kSchedule[kRound]);
  mix_four<1>(v, m, kSchedule[kRound] + 8);
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
