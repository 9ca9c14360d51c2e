#pragma once

#include <cstddef>
#include <cstdint>

// Vectors of words for blake3_lanes.isa.cpp, its only user: arithmetic comes with the types, here are loads,
// rotations and transposes. All of it is inlined, or the linker could keep one instruction set's copy for
// all.
namespace aftune::hash::AFTUNE_ISA_NAMESPACE {
namespace {

#define AFTUNE_INLINE inline __attribute__((always_inline))

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

// Rotates words to the right. Without an instruction for it, whole bytes are moved by one shuffle of them.
template <int kBits, class V>
AFTUNE_INLINE V rotate(V x) {
#if defined(__AVX2__) && !defined(__AVX512VL__)
  if constexpr (kBits % 8 == 0) {
    typedef unsigned char Octets __attribute__((vector_size(sizeof(V))));
    constexpr int k = kBits / 8;
    const Octets o = (Octets)x;
#define AFTUNE_TURN(at) at + k % 4, at + (k + 1) % 4, at + (k + 2) % 4, at + (k + 3) % 4
    if constexpr (sizeof(V) == 16)
      return (V)__builtin_shufflevector(o, o, AFTUNE_TURN(0), AFTUNE_TURN(4), AFTUNE_TURN(8),
                                        AFTUNE_TURN(12));
    else
      return (V)__builtin_shufflevector(o, o, AFTUNE_TURN(0), AFTUNE_TURN(4), AFTUNE_TURN(8), AFTUNE_TURN(12),
                                        AFTUNE_TURN(16), AFTUNE_TURN(20), AFTUNE_TURN(24), AFTUNE_TURN(28));
#undef AFTUNE_TURN
  }
#endif
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

}  // namespace
}  // namespace aftune::hash::AFTUNE_ISA_NAMESPACE
